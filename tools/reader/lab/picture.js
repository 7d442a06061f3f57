// Pictures of 28 × 28 numbers on a canvas, in rows and columns.
const SIDE = 28;
const SCALE = 4; // pixels of the canvas for one of a picture
const CELL = (SIDE + 2) * SCALE; // a picture and the space around it

const NOT_YET = "#8080801f"; // a picture that is not drawn yet, on light and on dark paper

const small = new OffscreenCanvas(SIDE, SIDE).getContext("2d");
const image = small.createImageData(SIDE, SIDE);
const pixels = new Uint32Array(image.data.buffer); // opacity, blue, green, red: a byte each

// Paint 784 numbers in [−1, 1] into the square of `side` pixels at (x, y): −1 is black, 1 is white.
export function paint(context, numbers, x, y, side) {
  for (let i = 0; i < pixels.length; i++) {
    const grey = Math.round(127.5 * (Math.min(Math.max(numbers[i], -1), 1) + 1));
    pixels[i] = 0xff000000 | (0x010101 * grey);
  }
  small.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small.canvas, x, y, side, side);
}

// The i-th of several pictures that lie one behind the other.
export function cut(pictures, i) {
  return pictures.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
}

// A table of pictures with names above and beside it.
export class Picture {
  constructor(figure) {
    this.canvas = figure.querySelector("canvas");
    this.corner = figure.querySelector(".corner-of-it");
    this.columns = figure.querySelector(".columns-of-it");
    this.rows = figure.querySelector(".rows-of-it");
    this.figure = figure;
  }

  // tiles: rows of pictures; null is one that is not drawn yet. corner, columns and rows: their names, as HTML.
  show({ tiles, corner = "", columns = [], rows = [] }) {
    const [R, C] = [tiles.length, tiles[0].length];
    if (this.canvas.width !== C * CELL || this.canvas.height !== R * CELL) {
      [this.canvas.width, this.canvas.height] = [C * CELL, R * CELL];
      this.figure.style.setProperty("--ratio", C / R);
    }
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.fillStyle = NOT_YET;
    tiles.forEach((row, r) =>
      row.forEach((tile, c) => {
        const [x, y, side] = [c * CELL + SCALE, r * CELL + SCALE, SIDE * SCALE];
        tile ? paint(context, tile, x, y, side) : context.fillRect(x, y, side, side);
      }),
    );
    name(this.corner, columns.length ? [corner] : []);
    name(this.columns, columns);
    name(this.rows, rows);
  }
}

function name(element, names) {
  if (element.dataset.names === names.join("|")) return;
  element.dataset.names = names.join("|");
  element.replaceChildren(
    ...names.map((name) => {
      const span = document.createElement("span");
      span.innerHTML = name;
      return span;
    }),
  );
}
