/** Words onnxruntime's exceptions as diagnostics: the reason without its source files, codes and stack traces. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Provider } from './executable.ts';

/** What onnxruntime says around its reasons: source files and signatures, failed conditions, status codes. */
const wording: readonly (readonly [RegExp, string])[] = [
  [/\s*Stacktrace:[\s\S]*$/, ''],
  [/\/\S+\.(?:cc|cpp|h):\d+ [\s\S]*? was false\. /g, ''],
  [/\/\S+\.(?:cc|cpp|h):\d+ [^\n]*?\)(?: const)? (?=\S)/g, ''],
  [/\[ONNXRuntimeError\] : \d+ : \w+ : /g, ''],
  [/^Load model from [^\n]*? failed: ?/, ''],
  [/Non-zero status code returned while running (\w+) node\. Name:'' Status Message: /g, '$1: '],
  [/Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: /g, '$1 `$2`: '],
  [/\s+/g, ' '],
];

/** The reason in an exception, on one line, with what is only of use to onnxruntime's makers left out. */
export function reasonOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  const short = wording.reduce((words, [pattern, instead]) => words.replace(pattern, instead), said).trim();
  return short.length > 400 ? `${short.slice(0, 400)} …` : short || 'no reason was given';
}

/** The model did not load; for a provider other than the CPU the provider is the likelier cause. */
export function cannotLoad(error: unknown, provider: Provider): Diagnostic {
  const reason = reasonOf(error);
  return provider !== 'cpu' && /provider|adapter|webgpu|vulkan|cuda|cudnn|\.so\b|\.dll\b/i.test(reason)
    ? providerMissing(provider, reason)
    : diagnose('model-does-not-load', { reason });
}

/** The model stopped on these inputs. */
export function cannotRun(error: unknown): Diagnostic {
  return diagnose('model-does-not-run', { reason: reasonOf(error) });
}

const installing: Readonly<Record<Provider, string>> = {
  cpu: 'install onnxruntime-node again: npm install onnxruntime-node',
  webgpu: 'install a graphics driver with Vulkan 1.1 (Linux), Metal (macOS) or Direct3D 12 (Windows)',
  cuda: 'on Linux x64 with CUDA 12 and cuDNN 9: ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node',
};

/** An execution provider that is not there, and how to install it. */
export function providerMissing(provider: Provider, reason: string): Diagnostic {
  return diagnose('provider-missing', { provider, reason }, { fixes: [{ text: installing[provider] }, ...(provider === 'cpu' ? [] : [{ text: 'run on the CPU: --ep cpu' }])] });
}
