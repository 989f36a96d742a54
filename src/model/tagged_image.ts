/** The reference with a tag: `latest` where it has neither tag nor digest. */
export function taggedImage(image: string): string {
  if (image.includes("@") || /:[^/:]+$/.test(image)) return image;
  return `${image}:latest`;
}
