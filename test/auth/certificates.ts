import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** A reason to skip tests with certificates, or false. */
export const withoutOpenssl =
  spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";

export interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes certificates with openssl in a folder of its own, which goes when the test file ends. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), "protogate-ca-"));
  readonly ca: Pair;

  constructor(name: string) {
    after(() => rmSync(this.folder, { recursive: true }));
    this.#openssl("req", "-x509", ...newKey("ca"), "-days", "30", "-subj", `/CN=${name}`, "-out", "ca.pem");
    this.ca = this.#pair("ca");
  }

  /**
   * A certificate of this authority.
   * @param subject in the form of openssl, `/O=Acme/CN=ada`
   * @param names `subjectAltName` in the form of openssl; empty for none
   * @param days that it lasts; -1 for one whose time is over
   */
  issue(file: string, subject: string, names = "", days = 30): Pair {
    this.#openssl("req", ...newKey(file), "-subj", subject, "-utf8", "-out", `${file}.csr`);
    const extensions =
      names === "" ? "basicConstraints=CA:FALSE" : `subjectAltName=@names\n[names]\n${names}`;
    writeFileSync(join(this.folder, `${file}.cnf`), extensions);
    const signing = ["-req", "-in", `${file}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    const time = ["-days", String(days)];
    this.#openssl("x509", ...signing, ...time, "-extfile", `${file}.cnf`, "-out", `${file}.pem`);
    return this.#pair(file);
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: "ignore" });
  }

  #pair(name: string): Pair {
    const certFile = join(this.folder, `${name}.pem`);
    const keyFile = join(this.folder, `${name}.key`);
    return { cert: readFileSync(certFile), key: readFileSync(keyFile), certFile, keyFile };
  }
}

function newKey(name: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
}
