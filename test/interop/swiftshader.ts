/** A GPU made of software for tests: SwiftShader, as Debian's chromium brings it. */

import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Whether it is there; tests that need it are left out where it is not, and say so. */
export const hasDriver: boolean = existsSync(driver);
if (!hasDriver) console.warn(`tests on WebGPU are left out: there is no ${driver} (apt-get install chromium libvulkan1)`);

/** The environment of a process that finds it. */
export const environment: NodeJS.ProcessEnv = { ...process.env, VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: tmpdir() };

/** A program of this folder. */
export const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
