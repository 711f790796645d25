import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The Debian release whose C and C++ libraries are new enough for the runner (glibc 2.38). */
const SUITE = "trixie";
const LIBRARIES = ["libc6", "libstdc++6", "libgcc-s1"];
const KEYRING = "debian-archive-keyring";
const KEYRING_FILE = "usr/share/keyrings/debian-archive-keyring.gpg";

/** A loader and the folder of the libraries that it is to use. */
export interface Libraries {
  readonly loader: string;
  readonly folder: string;
}

/** The libraries in the cache folder; undefined where they were not fetched yet. */
export function cachedLibraries(cache: string): Libraries | undefined {
  const folder = join(cache, "libraries", "usr", "lib", "x86_64-linux-gnu");
  const loader = join(folder, "ld-linux-x86-64.so.2");
  return existsSync(loader) ? { loader, folder } : undefined;
}

/**
 * Downloads the libraries from the Debian mirror that this machine is configured with, and unpacks them into the cache
 * folder. Nothing is installed. Packages are verified by Debian's keys; where the machine's keyring is too old to know
 * the release, a newer keyring is fetched first from the machine's own release.
 * @throws Error where the machine has no Debian mirror, or the download or its verification fails
 */
export function fetchLibraries(cache: string): Libraries {
  const apt = join(cache, "apt");
  rmSync(apt, { recursive: true, force: true });
  const { mirror, release } = debianMirror();
  try {
    download(apt, mirror, SUITE, `/${KEYRING_FILE}`, LIBRARIES);
  } catch {
    rmSync(apt, { recursive: true, force: true });
    download(apt, mirror, release, `/${KEYRING_FILE}`, [KEYRING]);
    unpack(apt, join(apt, "keys"));
    rmSync(join(apt, "packages"), { recursive: true });
    download(apt, mirror, SUITE, join(apt, "keys", KEYRING_FILE), LIBRARIES);
  }
  const fresh = join(cache, "libraries.new");
  rmSync(fresh, { recursive: true, force: true });
  unpack(apt, fresh);
  rmSync(join(cache, "libraries"), { recursive: true, force: true });
  renameSync(fresh, join(cache, "libraries"));
  rmSync(apt, { recursive: true });
  const libraries = cachedLibraries(cache);
  if (libraries === undefined) throw new Error(`the packages of ${SUITE} hold no loader for x86-64`);
  return libraries;
}

/** The mirror that serves this machine's own Debian release, taken from apt's configuration. */
function debianMirror(): { readonly mirror: string; readonly release: string } {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (release === undefined) throw new Error("this is no Debian machine: /etc/os-release names no release");
  const uris = run("apt-get", ["update", "--print-uris"]);
  const mirror = new RegExp(`^'(\\S+)/dists/${release}/InRelease'`, "m").exec(uris)?.[1];
  if (mirror === undefined) throw new Error(`apt is configured with no mirror of ${release}`);
  return { mirror, release };
}

/** Downloads packages into `packages` under the folder, with lists and caches of its own beside. */
function download(
  folder: string,
  mirror: string,
  suite: string,
  keyring: string,
  packages: readonly string[],
): void {
  const target = join(folder, "packages");
  for (const path of ["state/lists/partial", "cache/archives/partial", "packages"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  const sources = join(folder, "sources.list");
  writeFileSync(sources, `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State": join(folder, "state"),
    "Dir::Cache": join(folder, "cache"),
    // apt's own user may not enter the folder.
    "APT::Sandbox::User": "",
    "APT::Update::Error-Mode": "any",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  run("apt-get", [...options, "update", "-qq"]);
  run("apt-get", [...options, "download", "-qq", ...packages], target);
}

function unpack(folder: string, into: string): void {
  const packages = join(folder, "packages");
  for (const name of readdirSync(packages)) run("dpkg-deb", ["-x", join(packages, name), into]);
}

function run(command: string, parameters: readonly string[], folder = "/"): string {
  return execFileSync(command, parameters, {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}
