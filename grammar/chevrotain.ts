/** The parser generator, loaded from its one-file bundle: its default entry pulls in 600 modules and takes a quarter of a second to start. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const entry = createRequire(import.meta.url).resolve('chevrotain');
const bundle = new URL('../chevrotain.min.mjs', pathToFileURL(entry));
const loaded = (await import(existsSync(bundle) ? bundle.href : 'chevrotain')) as typeof import('chevrotain');

/** The parts of Chevrotain that the grammar is built from. */
export const { createSyntaxDiagramsCode, createToken, CstParser, EOF, generateCstDts, Lexer } = loaded;
