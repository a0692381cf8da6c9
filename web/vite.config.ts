import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** The fonts of formulas come in three formats; every browser this app runs in reads the smallest. */
function onlyWoff2(): Plugin {
  return {
    name: 'only-woff2',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('katex') || !id.endsWith('.css')) return null;
      return { code: code.replace(/,\s*url\([^)]+\.(?:woff|ttf)\)\s*format\(["'][^"']+["']\)/g, ''), map: null };
    },
  };
}

export default defineConfig({
  plugins: [onlyWoff2(), react(), tailwindcss()],
  build: {
    target: 'baseline-widely-available',
    // With light-dark() as it is: what stands in for it elsewhere would not let a part of the page have its own theme.
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // Nothing is written into the page or the styles: the content security policy allows files of this server alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    sourcemap: false,
  },
  server: {
    proxy: {
      '/v1': 'http://127.0.0.1:8000',
      '/ui': 'http://127.0.0.1:8000',
    },
  },
});
