import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

// The licences of what the bundle contains, as one text beside it.
function licences(): Plugin {
  return {
    name: 'kinglet-licences',
    generateBundle(_, bundle) {
      const packages = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of Object.keys(chunk.modules)) {
          const found = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id);
          if (found) packages.add(found[1]!);
        }
      }
      const texts = [...packages].sort().map((name) => {
        const folder = `node_modules/${name}`;
        const version = (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version: string }).version;
        const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
        if (!file) this.error(`${name} has no licence file`);
        return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
      });
      const source = `This page contains these packages.\n\n${texts.join(`\n${'-'.repeat(72)}\n\n`)}`;
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source });
    },
  };
}

// While working on the page: the API of a `kinglet serve` beside it.
const proxy = { '^/(v1|health|metrics)': { target: 'http://127.0.0.1:8080', changeOrigin: false } };

// Addresses are relative, so that the page also works behind a proxy's path. File names are fixed: the server sends ETags.
export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  plugins: [licences()],
  build: {
    target: 'es2022',
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: 'app.js',
        assetFileNames: 'app[extname]',
        inlineDynamicImports: true,
      },
    },
  },
  server: { proxy },
  preview: { proxy },
});
