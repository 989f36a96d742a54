/** Where relative paths and `~` lead. Both absolute, without a slash at the end. */
export interface Places {
  readonly folder: string;
  readonly home: string;
}

/** `path` as seen from the file's folder, without `.` and `..`. */
export function absolutePath(path: string, { folder, home }: Places): string {
  if (path === "~" || path.startsWith("~/")) return clean(`${home}${path.slice(1)}`);
  return clean(path.startsWith("/") ? path : `${folder}/${path}`);
}

/** The folder that holds `path`. */
export function folderOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

function clean(path: string): string {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") out.pop();
    else if (part !== "" && part !== ".") out.push(part);
  }
  return `/${out.join("/")}`;
}
