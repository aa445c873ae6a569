"""Writes small tokenizers of three kinds and what the `tokenizers` and `transformers` libraries say with them: python test/run/tokenizers/make.py TEXT"""
import json, os, sys
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, decoders, processors, trainers
from transformers import PreTrainedTokenizerFast

here = os.path.dirname(__file__)
text = open(sys.argv[1], encoding='utf-8').read()[:60000].split('\n\n')
texts = ['', ' ', 'First Citizen:', '  two  spaces ', "We'll don't it's I've", 'Größe, naïve — “quoted”…', '日本語 русский', '😀👩‍👩‍👧 done', 'tabs\tand\nlines\n\nmore', '123 45,678.9', 'a', 'ALL:\nWe know\'t, we know\'t.', '<|im_end|> inside', 'x' * 60]

def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(text, trainers.BpeTrainer(vocab_size=500, special_tokens=['<|endoftext|>', '<|im_start|>', '<|im_end|>'], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return t, {'bos_token': '<|endoftext|>', 'eos_token': '<|im_end|>'}

def word_piece():
    t = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(text, trainers.WordPieceTrainer(vocab_size=400, special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'], show_progress=False))
    t.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B:1 [SEP]:1', special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
    return t, {'cls_token': '[CLS]', 'sep_token': '[SEP]', 'pad_token': '[PAD]', 'unk_token': '[UNK]', 'mask_token': '[MASK]'}

def unigram():
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(text, trainers.UnigramTrainer(vocab_size=300, special_tokens=['<pad>', '</s>', '<unk>'], unk_token='<unk>', show_progress=False))
    t.post_processor = processors.TemplateProcessing(single='$A </s>', pair='$A </s> $B </s>', special_tokens=[('</s>', 1)])
    return t, {'eos_token': '</s>', 'pad_token': '<pad>', 'unk_token': '<unk>'}

template = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are kind.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
for name, make in [('byte-level', byte_level), ('word-piece', word_piece), ('unigram', unigram)]:
    t, config = make()
    folder = os.path.join(here, name); os.makedirs(folder, exist_ok=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=t, clean_up_tokenization_spaces=False, **config)
    expected = {'texts': []}
    for one in texts:
        ids = t.encode(one).ids
        expected['texts'].append({'text': one, 'ids': ids, 'bare': t.encode(one, add_special_tokens=False).ids, 'decoded': t.decode(ids, skip_special_tokens=True)})
    if name == 'byte-level':
        fast.chat_template = template
        expected['chat'] = fast.apply_chat_template([{'role': 'user', 'content': ' Who are you? '}], tokenize=False, add_generation_prompt=True)
        config['chat_template'] = template
    json.dump(json.loads(t.to_str()), open(os.path.join(folder, 'tokenizer.json'), 'w'), ensure_ascii=False, separators=(',', ':'))
    json.dump({**config, 'clean_up_tokenization_spaces': False}, open(os.path.join(folder, 'tokenizer_config.json'), 'w'))
    json.dump(expected, open(os.path.join(folder, 'expected.json'), 'w'), ensure_ascii=False)
