"""Writes the tiny decoders of this folder and what numpy says they continue: python test/run/tiny.py

One attention layer over learned positions, random weights; `tiny-whole.onnx` without and `tiny-step.onnx` with a cache.
"""
import json, os
import numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

V, C, D, N = 17, 24, 8, 2
W = D // N
g = np.random.default_rng(5)
w = {k: (g.standard_normal(s) * c).astype(np.float32) for k, s, c in [('E', (V, D), 1), ('P', (C, D), 1), ('q', (D, D), .9), ('k', (D, D), .9), ('v', (D, D), .9), ('o', (D, D), .9), ('head', (D, V), 1)]}
here = os.path.dirname(__file__)


def model(step):
    n = []
    op = lambda t, i, o, **a: n.append(h.make_node(t, i, [o], **a))
    ints = lambda name, v: init.append(nh.from_array(np.array(v, np.int64), name))
    init = [nh.from_array(v, k) for k, v in w.items()]
    init += [nh.from_array(np.float32(W ** -.5), 'scale'), nh.from_array(np.float32(-1e9), 'low'), nh.from_array(np.float32(0), 'zero')]
    ints('split', [0, 0, N, W]); ints('merge', [0, 0, D]); ints('i0', 0); ints('i1', 1); ints('a1', [1]); ints('a12', [1, 2])
    op('Gather', ['E', 'input_ids'], 'e'); op('Gather', ['P', 'position_ids'], 'p'); op('Add', ['e', 'p'], 'x')
    for c in 'qkv':
        op('MatMul', ['x', c], c + '0'); op('Reshape', [c + '0', 'split'], c + '1'); op('Transpose', [c + '1'], c + '2', perm=[0, 2, 1, 3])
    if step:
        op('Concat', ['past_key_values.0.key', 'k2'], 'present.0.key', axis=2); op('Concat', ['past_key_values.0.value', 'v2'], 'present.0.value', axis=2)
        k, v = 'present.0.key', 'present.0.value'
    else:
        k, v = 'k2', 'v2'
    op('Transpose', [k], 'kt', perm=[0, 1, 3, 2]); op('MatMul', ['q2', 'kt'], 's0'); op('Mul', ['s0', 'scale'], 's1')
    op('Shape', ['attention_mask'], 'ts', start=1); op('Squeeze', ['ts'], 'total'); op('Shape', ['input_ids'], 'ss', start=1); op('Squeeze', ['ss'], 'new')
    op('Range', ['i0', 'total', 'i1'], 'cols'); op('Sub', ['total', 'new'], 'off'); op('Range', ['off', 'total', 'i1'], 'rows0'); op('Unsqueeze', ['rows0', 'a1'], 'rows')
    op('LessOrEqual', ['cols', 'rows'], 'causal'); op('Cast', ['attention_mask'], 'kept0', to=T.BOOL); op('Unsqueeze', ['kept0', 'a12'], 'kept'); op('And', ['causal', 'kept'], 'see')
    op('Where', ['see', 'zero', 'low'], 'bias'); op('Add', ['s1', 'bias'], 's2'); op('Softmax', ['s2'], 'a', axis=-1); op('MatMul', ['a', v], 'y0')
    op('Transpose', ['y0'], 'y1', perm=[0, 2, 1, 3]); op('Reshape', ['y1', 'merge'], 'y2'); op('MatMul', ['y2', 'o'], 'y3'); op('Add', ['x', 'y3'], 'r'); op('MatMul', ['r', 'head'], 'logits')
    total = 'total_sequence_length' if step else 'sequence_length'
    cache = lambda p, size: [h.make_tensor_value_info(f'{p}.0.{c}', T.FLOAT, ['batch_size', N, size, W]) for c in ('key', 'value')]
    ins = [h.make_tensor_value_info('input_ids', T.INT64, ['batch_size', 'sequence_length']), h.make_tensor_value_info('attention_mask', T.INT64, ['batch_size', total]), h.make_tensor_value_info('position_ids', T.INT64, ['batch_size', 'sequence_length'])]
    outs = [h.make_tensor_value_info('logits', T.FLOAT, ['batch_size', 'sequence_length', V])]
    if step:
        ins += cache('past_key_values', 'past_sequence_length'); outs += cache('present', 'total_sequence_length')
    m = h.make_model(h.make_graph(n, 'tiny', ins, outs, init), opset_imports=[h.make_opsetid('', 21)], ir_version=10)
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, os.path.join(here, 'tiny-step.onnx' if step else 'tiny-whole.onnx'))


def logits(ids):
    x = w['E'][ids].astype(np.float64) + w['P'][:len(ids)]
    split = lambda y: y.reshape(len(ids), N, W).transpose(1, 0, 2)
    q, k, v = (split(x @ w[c]) for c in 'qkv')
    s = q @ k.transpose(0, 2, 1) * W ** -.5 + np.triu(np.full((len(ids),) * 2, -1e9), 1)
    a = np.exp(s - s.max(-1, keepdims=True)); a /= a.sum(-1, keepdims=True)
    return (x + (a @ v).transpose(1, 0, 2).reshape(len(ids), D) @ w['o']) @ w['head']


def greedy(ids, n, penalty=1.0):
    ids, out = list(ids), []
    for _ in range(n):
        l = logits(ids)[-1]
        for t in set(ids):
            l[t] = l[t] / penalty if l[t] > 0 else l[t] * penalty
        out.append(int(l.argmax())); ids.append(out[-1])
    return out


prompts = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 5, 8, 9, 7]]
model(False); model(True)
json.dump({'vocabulary': V, 'context': C, 'prompts': prompts, 'greedy': [greedy(p, 12) for p in prompts], 'penalised': [greedy(p, 12, 1.6) for p in prompts], 'lastLogits': [[round(float(x), 6) for x in logits(p)[-1]] for p in prompts]}, open(os.path.join(here, 'tiny.json'), 'w'))
