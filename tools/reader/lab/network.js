// The page's two networks: unpacked from the page itself, run by worker.js.
import { PIXELS } from "./diffusion.js";

// Images in one call. Between two calls the teacher gives way to a newer wish, so its calls are short.
const AT_ONCE = { teacher: 5, student: 10 };

// The bytes of <script id="…">, which holds base64 of a gzip file.
async function unpack(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Networks that answer, by name. failed(message) is called if the worker dies later.
export async function startNetworks(about, failed) {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly");
  const names = Object.keys(about.networks);
  const [worker_js, runtime, wasm, ...files] = await Promise.all(["worker", "runtime", "wasm", ...names].map(unpack));
  const worker = new Worker(URL.createObjectURL(new Blob([worker_js], { type: "text/javascript" })));
  const waiting = new Map();
  let last = 0;

  function ask(message, transfer = []) {
    return new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ ...message, id: last }, transfer);
    });
  }
  worker.onmessage = ({ data: { id, got, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    error ? reject(new Error(error)) : resolve(got);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const error = new Error((event.message && `${event.message} ${event.filename}:${event.lineno}`) || "the thread of the networks ended");
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
    failed(error);
  };

  await ask({ ask: "start", runtime, wasm, files: Object.fromEntries(names.map((name, i) => [name, files[i]])) });

  // network(told): its answer for any number of images, a few at a time; between two calls tick() may throw.
  function networkOf(name) {
    return async (told, tick) => {
      const B = told.t_over_T.length;
      const out = new Float32Array(B * PIXELS);
      for (let from = 0; from < B; from += AT_ONCE[name]) {
        tick();
        const to = Math.min(B, from + AT_ONCE[name]);
        const part = Object.entries(told).map(([key, all]) => {
          const each = all.length / B;
          return [key, all.slice(from * each, to * each)];
        });
        out.set(await ask({ ask: "run", name, told: Object.fromEntries(part) }), from * PIXELS);
      }
      tick();
      return out;
    };
  }
  return Object.fromEntries(names.map((name) => [name, { ...about.networks[name], call: networkOf(name) }]));
}
