/** Pictures made small enough to be sent with a message, in this browser. */

/** The longer side, in pixels: what vision models look at is not larger. */
const MAX_SIDE = 1568;
/** Of the data URL: a message may have several, and a request 8 MiB. */
const MAX_LENGTH = 1_400_000;
const QUALITIES = [0.86, 0.72, 0.55, 0.4];
export const MAX_IMAGES = 4;

/** A data URL. Small PNG, JPEG, WebP and GIF files stay as they are. Throws for what is no picture. */
export async function readImage(file: Blob): Promise<string> {
  const picture = await createImageBitmap(file);
  try {
    const longer = Math.max(picture.width, picture.height);
    const asItIs =
      /^image\/(png|jpeg|webp|gif)$/.test(file.type) && longer <= MAX_SIDE && file.size * 1.37 < MAX_LENGTH;
    if (asItIs) return await toDataUrl(file);
    let scale = Math.min(1, MAX_SIDE / longer);
    for (let tries = 0; tries < 4; tries++, scale *= 0.7) {
      for (const quality of QUALITIES) {
        const url = draw(picture, scale, quality);
        if (url.length <= MAX_LENGTH) return url;
      }
    }
    throw new Error('The picture does not get small enough.');
  } finally {
    picture.close();
  }
}

function draw(picture: ImageBitmap, scale: number, quality: number): string {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser cannot draw.');
  // JPEG has no transparency: what was clear is white.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/jpeg', quality);
}

function toDataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error('The file could not be read.'));
    reader.readAsDataURL(file);
  });
}

/** The images among what was pasted or dropped. */
export function imagesIn(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])].filter(({ type }) => type.startsWith('image/'));
}
