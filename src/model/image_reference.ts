/**
 * The shape of an image reference (`[host[:port]/]path[:tag][@algorithm:digest]`), after the grammar
 * of the distribution project's reference documentation. Repository paths are lower case.
 */
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const HOST =
  "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?";
const REFERENCE = new RegExp(
  `^(?:${HOST}/)?${COMPONENT}(?:/${COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`,
);
const MAX_LENGTH = 1024;

export function isImageReference(text: string): boolean {
  return text.length <= MAX_LENGTH && REFERENCE.test(text);
}

/** The reference without its digest: what tables show. */
export function withoutDigest(image: string): string {
  return image.split("@", 1)[0] ?? image;
}
