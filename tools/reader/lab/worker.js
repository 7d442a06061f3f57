// The networks, on a thread of their own, so that the page answers while they compute.
// A message is {ask, id, …}; the answer has the same id, and `got` or `error`.
const sessions = {};
let ort;

const answers = {
  // runtime: onnxruntime-web's module; wasm: its machine code; files: name → ONNX file.
  async start({ runtime, wasm, files }) {
    ort = await import(URL.createObjectURL(new Blob([runtime], { type: "text/javascript" })));
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1; // more threads need a page that a server sends with special headers
    for (const [name, file] of Object.entries(files)) {
      sessions[name] = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
    }
  },

  // One call of a network: x_t (B · 784), t_over_T (B), y (B · 10) and, where it hears it, w (B).
  async run({ name, told }) {
    const B = told.t_over_T.length;
    const shapes = { x_t: [B, 1, 28, 28], t_over_T: [B], y: [B, 10], w: [B] };
    const inputs = Object.entries(told).map(([key, data]) => [key, new ort.Tensor("float32", data, shapes[key])]);
    const { out } = await sessions[name].run(Object.fromEntries(inputs));
    return out.data.slice();
  },
};

onmessage = async ({ data: { ask, id, ...more } }) => {
  try {
    const got = await answers[ask](more);
    postMessage({ id, got }, got ? [got.buffer] : []);
  } catch (error) {
    postMessage({ id, error: `${error}` });
  }
};
