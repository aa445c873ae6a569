/** Diagnostics of turning feed-forwards into experts, and of the files that hold what was decided. */

import { text } from '../template.ts';

export const conversions = {
  'nothing-to-convert': {
    severity: 'error',
    message: text`${'source'} has no feed-forward to convert`,
    explanation: `A feed-forward is two products with constant matrices and elementwise work between them, from D numbers to as many: plain, gated, with biases or without. Everything that looked like one and is none is listed with the reason.
wrong: \`moec emerge resnet.onnx\`: convolutions have no neurons to group
right: \`moec emerge distilbert.onnx\``,
  },
  'layer-not-found': {
    severity: 'error',
    message: text`${'source'} has no feed-forward ${'path'}`,
    explanation: `Layers to convert are named by their number among all feed-forwards, counted from 0, or by a path with ranges. Ranges end before their last number.
wrong: \`moec emerge small.moe --layers 20..30\` of a model of 12 layers
right: \`moec emerge small.moe --layers 6..12\``,
  },
  'neurons-do-not-divide': {
    severity: 'error',
    message: text`${'path'} has ${'neurons'} neurons, which ${'experts'} experts do not divide`,
    explanation: `Experts of one layer have one size. Another number of experts divides the neurons, or the last neuron of some experts is one of zeros, which changes nothing but the size.
wrong: 172 neurons into 16 experts
right: 172 neurons into 4 or 43 experts; or into 16 with \`--pad\` (\`pad = true\` in a directive), which makes experts of 11 neurons`,
  },
  'shared-block-split': {
    severity: 'error',
    message: text`${'path'} has the weights of ${'others'}, which would not be converted with it`,
    explanation: `Layers that share their weights are one block in several places: a block becomes experts in all of them or in none. To convert it in some places only, each of those gets a copy of its own, and the model grows by that.
wrong: \`moec emerge albert --layers 6..12\`
right: \`moec emerge albert\`, or \`moec emerge albert --layers 6..12 --untie\``,
  },
  'calibration-needed': {
    severity: 'error',
    message: text`${'what'} needs text to calibrate on`,
    explanation: `What neurons do is seen on text: groups by activations, fitted scores and repairs are computed from it. Without text there are groups by keys and scores by mean keys.
wrong: \`moec emerge ./SmolLM2-135M --score fitted\`
right: \`moec emerge ./SmolLM2-135M --score fitted --calibrate wiki.txt\``,
  },
  'calibration-unfit': {
    severity: 'error',
    message: text`${'file'} cannot be calibrated on: ${'reason'}`,
    explanation: `Calibration text is a file of text that the model's own tokenizer reads, or, for models that take something else, a .json file with a list of inputs, each an object of nested lists by the names of inputs.
wrong: an empty file, or one of fewer tokens than the model has numbers in a row
right: some ten thousand words of what the model will be used on`,
  },
  'judged-on-fitted': {
    severity: 'warning',
    message: text`layers were judged on what they were fitted to: ${'file'} makes one calibration input alone`,
    explanation: `The last calibration input is kept for judging, so that the output error, the mass caught and the load of each layer are of tokens that nothing was fitted to. A text is cut into inputs of 512 tokens, or of as many as the model looks at; where it makes but one, that one serves for both, and the figures of layers flatter. The perplexity is of other tokens all the same.
wrong: \`moec emerge ./SmolLM2-135M --calibrate wiki.txt --tokens 512\`
right: \`moec emerge ./SmolLM2-135M --calibrate wiki.txt --tokens 1024\``,
  },
  'measured-on-calibrated': {
    severity: 'warning',
    message: text`${'file'} is both calibrated on and measured on, so that its figures flatter`,
    explanation: `Routers and what stands in for experts are fitted to the calibration text, and do better on it than on another. Without \`--held-out\` the tokens after those that were calibrated on are measured.
wrong: \`moec emerge ./SmolLM2-135M --calibrate wiki.txt --held-out wiki.txt\`
right: \`moec emerge ./SmolLM2-135M --calibrate wiki.txt\``,
  },
  'experts-not-faster': {
    severity: 'warning',
    message: text`as experts the feed-forwards would take ${'experts'} ms for ${'tokens'}, and ${'dense'} ms as they are, by the costs of the target ${'target'}`,
    explanation: `Experts save multiplications and cost nodes: a router, a pick, a product for each expert. Small layers, many small experts and many picked ones lose more by that than they save. For many tokens at once nearly every expert is picked by some token, so that there is less to save than for one. The estimate is from what the runtime was measured to take with two threads; the table after the conversion has what it took.
wrong: 172 neurons in 43 experts, of which 22 run
right: \`moec emerge ./SmolLM2-135M --experts 16 --top 8\``,
  },
  'speed-not-measured': {
    severity: 'warning',
    message: text`the speed was not measured: ${'reason'}`,
    explanation: `After a conversion the dense model and the converted one are compiled alike and timed side by side on the CPU, each in a process of its own. What is compiled for another device is not timed here, and a model that does not run on numbers made from a seed is not either; the conversion itself stands.
wrong: \`moec emerge ./SmolLM2-135M --target webgpu\`
right: \`moec emerge ./SmolLM2-135M --target webgpu --speed none\``,
  },
  'weights-not-finite': {
    severity: 'error',
    message: text`a weight of ${'path'} is infinite or no number`,
    explanation: `Neurons are grouped by their weights, and experts scored by what they give; a weight that is infinite or NaN leaves neither. Such weights come of a training that went astray, or of a file that was cut or converted wrongly, and the model gives no numbers for most inputs either.
wrong: an export whose scale overflowed in half precision
right: leave that layer out with \`--layers\`, or export the model again`,
  },
  'identity-broken': {
    severity: 'error',
    message: text`${'path'} with every expert is not the dense layer: it differs by ${'error'}, and ${'limit'} is the most`,
    explanation: `With every expert picked a converted layer computes what the dense one does, up to the order of sums; every conversion is checked for that, by max|a − b| / max|b| on real inputs, up to 1e-5, and 1e-2 for a layer in f16. Numbers so large that f32 cannot add them exactly break it, and so would a fault of moec's own.
wrong: a layer whose values cancel to 1e-6 of their size
right: leave that layer out with \`--layers\``,
  },
  'artefact-missing': {
    severity: 'error',
    message: text`there is no ${'file'} to read experts from`,
    explanation: `\`group = from "NAME.experts.safetensors"\` names the file that \`moec emerge\` wrote beside the .moe file, relative to it.
wrong: a .moe file copied without the file it names
right: both files in one folder`,
  },
  'artefact-damaged': {
    severity: 'error',
    message: text`${'file'} does not hold a conversion: ${'reason'}`,
    explanation: `The file lists its conversions in the tensor \`moec.json\` and holds for each the order of neurons, the router and what repairs it. A file that was cut short or written by something else is refused, and so are numbers that do not fit the layer: an order that has a neuron twice, a router of another size.
wrong: a checkpoint of a model
right: the NAME.experts.safetensors that \`moec emerge\` wrote`,
  },
  'artefact-lacks-layer': {
    severity: 'error',
    message: text`${'file'} has no conversion of ${'path'}`,
    explanation: `The file holds the layers that were converted when it was written. A directive may name some of these, not others.
wrong: \`emergent blocks[0..30].ffn\` with a file of layers 10 to 19
right: \`emergent blocks[10..20].ffn\``,
  },
  'artefact-has-other-experts': {
    severity: 'error',
    message: text`${'file'} has ${'experts'} experts of ${'path'}, not ${'asked'}`,
    explanation: `\`experts\` may be left out where experts come from a file; where it stands, it is the number that the file has.

wrong: { group = from "sparse.experts.safetensors"  experts = 32 }, of 16 that were converted
right: { group = from "sparse.experts.safetensors" }`,
  },
  'artefact-for-other-weights': {
    severity: 'error',
    message: text`${'file'} was made for other weights of ${'path'}`,
    explanation: `A conversion fits the weights it was computed from, by their digest: on others its groups and its router mean nothing.
wrong: the experts of SmolLM2-135M with the weights of SmolLM2-135M-Instruct
right: the checkpoint that was converted, or \`moec emerge\` again`,
  },
} as const;
