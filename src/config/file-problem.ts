const reasons: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "may not be read by this user",
  EPERM: "may not be read by this user",
  EISDIR: "is a folder",
  ENAMETOOLONG: "has too long a name",
  ELOOP: "is a circle of symbolic links",
};

/** Why the file system refused, to follow the name of the file: `does not exist`. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return reasons[code] ?? `cannot be read${code === "" ? "" : ` (${code})`}`;
}
