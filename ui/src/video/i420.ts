import { colourSpace, conversion, toRgba } from './colour';
import type { Picture } from './protocol';

/** Draws pictures in I420 onto one canvas. */
export interface I420Painter {
  draw(picture: Picture): void;
  close(): void;
}

/** By the web view's own means where it knows frames, which is quickest; else with WebGL, else pixel by pixel. */
export function paintI420(canvas: HTMLCanvasElement): I420Painter {
  if (typeof VideoFrame !== 'undefined') return new CanvasPainter(canvas, true);
  const gl = canvas.getContext('webgl', { alpha: false, antialias: false, depth: false });
  return gl ? new WebGlPainter(canvas, gl) : new CanvasPainter(canvas, false);
}

const VERTICES = `
attribute vec2 corner;
varying vec2 at;
void main() {
  at = vec2(corner.x * 0.5 + 0.5, 0.5 - corner.y * 0.5);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENTS = `
precision mediump float;
varying vec2 at;
uniform sampler2D planeY;
uniform sampler2D planeU;
uniform sampler2D planeV;
uniform vec3 offset;
uniform mat3 matrix;
void main() {
  vec3 yuv = vec3(texture2D(planeY, at).r, texture2D(planeU, at).r, texture2D(planeV, at).r);
  gl_FragColor = vec4(matrix * (yuv - offset), 1.0);
}`;

class WebGlPainter implements I420Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #gl: WebGLRenderingContext;
  #textures: WebGLTexture[] = [];
  #offset: WebGLUniformLocation | null = null;
  #matrix: WebGLUniformLocation | null = null;
  /** The size that the textures have. */
  #size = '';

  constructor(canvas: HTMLCanvasElement, gl: WebGLRenderingContext) {
    this.#canvas = canvas;
    this.#gl = gl;
    this.#prepare();
    // A graphics driver that restarts takes everything with it; the canvas then gets an empty context.
    canvas.addEventListener('webglcontextlost', this.#onLost);
    canvas.addEventListener('webglcontextrestored', this.#prepare);
  }

  readonly #onLost = (event: Event) => event.preventDefault();

  readonly #prepare = () => {
    const gl = this.#gl;
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTICES],
      [gl.FRAGMENT_SHADER, FRAGMENTS],
    ] as const) {
      const shader = gl.createShader(kind);
      if (!shader) return;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, 'corner');
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    // Rows follow each other without padding.
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.#offset = gl.getUniformLocation(program, 'offset');
    this.#matrix = gl.getUniformLocation(program, 'matrix');
    this.#textures = ['planeY', 'planeU', 'planeV'].map((name, unit) => {
      const texture = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
        gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
      }
      // Sizes that are no powers of two have no texture without this in WebGL 1.
      for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
        gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
      }
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
      return texture;
    });
    this.#size = '';
  };

  draw({ width, height, colour, payload }: Picture) {
    const gl = this.#gl;
    const size = `${width}x${height}`;
    const resized = size !== this.#size;
    if (resized) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      gl.viewport(0, 0, width, height);
      this.#size = size;
    }
    const { offset, luma, rv, gu, gv, bu } = conversion(colour);
    gl.uniform3fv(this.#offset, offset);
    // By columns: what Y, U and V each give to red, green and blue.
    gl.uniformMatrix3fv(this.#matrix, false, [luma, luma, luma, 0, gu, bu, rv, gv, 0]);
    const half: [number, number] = [Math.ceil(width / 2), Math.ceil(height / 2)];
    let from = 0;
    for (const [unit, [columns, rows]] of ([[width, height], half, half] as const).entries()) {
      const plane = payload.subarray(from, (from += columns * rows));
      gl.activeTexture(gl.TEXTURE0 + unit);
      const { LUMINANCE: kind, UNSIGNED_BYTE: type } = gl;
      if (resized) gl.texImage2D(gl.TEXTURE_2D, 0, kind, columns, rows, 0, kind, type, plane);
      else gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, columns, rows, kind, type, plane);
    }
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  close() {
    this.#canvas.removeEventListener('webglcontextlost', this.#onLost);
    this.#canvas.removeEventListener('webglcontextrestored', this.#prepare);
    for (const texture of this.#textures) this.#gl.deleteTexture(texture);
    // Web views allow only some contexts at a time and free them late.
    this.#gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

/** Has the web view convert frames or, where it doesn't, does so itself. */
class CanvasPainter implements I420Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D | null;
  #frames: boolean;
  #pixels: ImageData | undefined;

  constructor(canvas: HTMLCanvasElement, frames: boolean) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false });
    this.#frames = frames;
  }

  draw(picture: Picture) {
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    if (this.#frames && this.#drawFrame(picture)) return;
    this.#frames = false;
    this.#drawPixels(picture);
  }

  #drawFrame({ width, height, colour, payload }: Picture): boolean {
    try {
      const frame = new VideoFrame(payload, {
        format: 'I420',
        codedWidth: width,
        codedHeight: height,
        timestamp: 0,
        colorSpace: colourSpace(colour),
      });
      this.#context?.drawImage(frame, 0, 0);
      frame.close();
      return true;
    } catch {
      return false;
    }
  }

  #drawPixels({ width, height, colour, payload }: Picture) {
    if (this.#pixels?.width !== width || this.#pixels.height !== height) {
      this.#pixels = new ImageData(width, height);
    }
    toRgba(payload, width, height, colour, this.#pixels.data);
    this.#context?.putImageData(this.#pixels, 0, 0);
  }

  close() {
    this.#pixels = undefined;
  }
}
