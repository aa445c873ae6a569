/**
 * Runs before onnxruntime-node's own install step. On Linux that step downloads CUDA libraries, and fails the whole
 * install where it cannot. It leaves alone what is there already, so empty files in their places keep it from trying.
 * Whoever wants CUDA gets the libraries with `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node`.
 */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const asked = ['ONNXRUNTIME_NODE_INSTALL', 'ONNXRUNTIME_NODE_INSTALL_CUDA', 'npm_config_onnxruntime_node_install', 'npm_config_onnxruntime_node_install_cuda'];

try {
  if (!asked.some((name) => process.env[name])) fillIn();
} catch (error) {
  console.warn(`moec: onnxruntime-node may try to download CUDA libraries (${error.message})`);
}

function fillIn() {
  const folder = dirname(require.resolve('onnxruntime-node/package.json'));
  const { requirements, manifests } = require(join(folder, 'script/install-metadata.js'));
  const platform = `${process.platform}/${process.arch}`;
  for (const name of requirements[platform] ?? []) {
    for (const file of Object.keys(manifests[`${platform}:${name}`])) {
      const path = join(folder, 'bin/napi-v6', platform, file);
      mkdirSync(dirname(path), { recursive: true });
      if (!existsSync(path)) writeFileSync(path, '');
    }
  }
}
