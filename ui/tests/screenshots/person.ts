/** A person before a window to the sea, in flat colours: what the camera sees in the pictures of the documentation. */
export function paintPerson(width: number, height: number): string {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d')!;
  context.scale(width / 640, height / 360);
  const shape = (colour: string, path: string) => {
    context.fillStyle = colour;
    context.fill(new Path2D(path));
  };
  shape('#e9dcc9', 'M0 0H640V360H0Z');
  shape('#d9c8b0', 'M0 300H640V360H0Z');
  // The window: sky, sun, sea, a sail.
  shape('#fff8ec', 'M382 36h196q10 0 10 10v188q0 10-10 10H382q-10 0-10-10V46q0-10 10-10Z');
  shape('#bfe3ea', 'M386 50H574V150H386Z');
  shape('#ff8f6e', 'M470 150a34 34 0 0 1 68 0Z');
  shape('#2f8e9c', 'M386 150H574V230H386Z');
  shape('#1f7484', 'M386 178c32-12 62-12 94 0s62 12 94 0v52H386Z');
  shape('#ffffff', 'M424 92v66h-34ZM428 104v54h26Z');
  shape('#6b4a35', 'M384 162h76l-12 12h-52Z');
  shape('#fff8ec', 'M474 36h12v208h-12Z');
  // A plant and a shelf.
  shape('#b98a63', 'M46 214h132v10H46Z');
  shape('#c4623f', 'M84 176h44l-6 38H90Z');
  shape(
    '#4f8a62',
    'M106 178c-34-22-40-54-34-76 22 12 34 40 34 76ZM106 178c34-22 40-54 34-76-22 12-34 40-34 76ZM106 178c-10-36-6-70 0-88 8 18 12 52 0 88Z',
  );
  // Hair behind, shoulders, neck, head, hair in front, face.
  shape('#3b2a26', 'M226 190c-12-84 26-128 80-128s94 42 82 128c-4 30 2 58 8 78H218c8-22 12-48 8-78Z');
  shape('#23586b', 'M150 360c4-70 48-96 108-104h98c60 8 104 34 108 104Z');
  shape('#f4efe6', 'M262 254h90l-45 50Z');
  shape('#d99a78', 'M280 214h54v36c0 18-12 30-27 30s-27-12-27-30Z');
  shape('#e8b08e', 'M250 148c0-44 24-66 57-66s57 22 57 66c0 52-28 88-57 88s-57-36-57-88Z');
  shape(
    '#3b2a26',
    'M244 152c0-54 26-80 64-80s62 26 62 80c-8-28-24-44-46-50-26 20-56 22-72 26-6 8-8 16-8 24Z',
  );
  shape('#33231f', 'M276 156a6 7 0 1 1 12 0 6 7 0 1 1-12 0ZM326 156a6 7 0 1 1 12 0 6 7 0 1 1-12 0Z');
  shape('#c9826a', 'M303 166h8l4 20q-8 5-14 0Z');
  shape('#a8433b', 'M284 200c14 8 32 8 46 0-4 16-14 22-23 22s-19-6-23-22Z');
  shape('#ffffff', 'M289 203c12 5 24 5 36 0-3 6-8 8-18 8s-15-2-18-8Z');

  // To I420 by BT.601 in limited range, as base64 for the journey to the socket.
  const { data } = context.getImageData(0, 0, width, height);
  const planes = new Uint8Array((width * height * 3) / 2);
  const half = width / 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      const [red, green, blue] = [data[at]! / 255, data[at + 1]! / 255, data[at + 2]! / 255];
      const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
      planes[y * width + x] = Math.round(16 + 219 * luma);
      if (x % 2 === 0 && y % 2 === 0) {
        const cell = width * height + (y / 2) * half + x / 2;
        planes[cell] = Math.round(128 + (224 * (blue - luma)) / 1.772);
        planes[cell + half * (height / 2)] = Math.round(128 + (224 * (red - luma)) / 1.402);
      }
    }
  }
  let text = '';
  for (const byte of planes) text += String.fromCharCode(byte);
  return btoa(text);
}
