/** llama.cpp on a GGUF file, in a process of its own: prints tokens per second as JSON. Needs `npm install --no-save node-llama-cpp@3.22.1`. */

/** What of node-llama-cpp is used. */
interface LlamaModule {
  getLlama(options: { readonly gpu: false; readonly build: 'never'; readonly maxThreads: number; readonly logLevel: 'error' }): Promise<{
    loadModel(options: { readonly modelPath: string; readonly gpuLayers: number }): Promise<{
      createContext(options: { readonly contextSize: number; readonly batchSize: number; readonly threads: number }): Promise<{
        getSequence(): {
          evaluate(tokens: readonly number[], options: { readonly temperature: number; readonly yieldEogToken: boolean }): AsyncIterable<number>;
          clearHistory(): Promise<void>;
        };
      }>;
    }>;
  }>;
}

const [, , modelPath = ''] = process.argv;
const context = 256;
const steps = 64;
const name = process.env['NODE_LLAMA_CPP'] ?? 'node-llama-cpp';
const { getLlama } = (await import(name)) as LlamaModule;
const began = performance.now();
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 2, logLevel: 'error' });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const sequence = (await model.createContext({ contextSize: 512, batchSize: 512, threads: 2 })).getSequence();
const load = (performance.now() - began) / 1000;
const prompt = Array.from({ length: context }, (_, i) => 3 + ((i * 7919) % 49_000));
await continued(4);
const { first, rest } = await continued(1 + steps);
console.log(JSON.stringify({ load, prefill: context / first, decode: steps / rest }));
process.exit(0);

/** Seconds to the first token of a continuation, and for those after it. */
async function continued(count: number): Promise<{ readonly first: number; readonly rest: number }> {
  await sequence.clearHistory();
  const start = performance.now();
  let first = 0;
  let written = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    written++;
    if (written === 1) first = performance.now() - start;
    if (written === count) break;
  }
  return { first: first / 1000, rest: (performance.now() - start - first) / 1000 };
}
