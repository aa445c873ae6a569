/** The project's own source files, for the tests that hold the house rules. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Project, type SourceFile } from 'ts-morph';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A file by its path from the root of the project. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** All files below folders of the project whose names end in one of `endings`. */
export function sourcesIn(folders: readonly string[], endings: readonly string[] = ['.ts', '.mjs']): readonly Source[] {
  return folders.flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => endings.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(`${root}${folder}/${name}`, 'utf8') })),
  );
}

/** The syntax trees of sources, by path. Nothing is type-checked. */
export function treesOf(sources: readonly Source[]): ReadonlyMap<string, SourceFile> {
  const project = new Project({ useInMemoryFileSystem: true, skipLoadingLibFiles: true, skipFileDependencyResolution: true });
  return new Map(sources.map(({ path, text }) => [path, project.createSourceFile(path, text)]));
}
