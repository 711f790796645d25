import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readConfig } from "../../src/gateway/read-config.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { root } from "../node-script.js";
import { execForm, readDockerfile } from "./dockerfile.js";
import { type Container, type KubernetesObject, type PodSpec, readObjects, selects } from "./objects.js";

const chart = join(root, "config/helm/protogate");
const folder = join(root, "test/deployment/chart");
const helm = findHelm();

/**
 * What Helm makes of the values beside it. `HELM=helm UPDATE_CHART=1 node --import tsx --test test/deployment/kubernetes.test.ts`
 * writes it anew.
 */
function renderedFile(values: string): string {
  return join(folder, `${values}.yaml`);
}

const manifests = new Map([
  ["config/kubernetes.yaml", join(root, "config/kubernetes.yaml")],
  ...["minimal", "full"].map(values => [`the chart with ${values} values`, renderedFile(values)] as const),
]);

if (process.env.UPDATE_CHART !== undefined)
  for (const values of ["minimal", "full"])
    writeFileSync(
      renderedFile(values),
      `# ${fingerprint(values)}\n${template("-f", join(folder, `${values}.values.yaml`)).stdout}`,
    );

for (const values of ["minimal", "full"]) {
  it(`the chart with ${values} values is in test/deployment/chart as its templates are now`, () => {
    const [first] = readFileSync(renderedFile(values), "utf8").split("\n");
    assert.equal(first, `# ${fingerprint(values)}`);
  });

  it(`Helm renders the chart with ${values} values as it is in test/deployment/chart`, {
    skip: noHelm(),
  }, () => {
    const { status, stdout, stderr } = template("-f", join(folder, `${values}.values.yaml`));
    assert.equal(status, 0, stderr);
    // Versions of Helm differ in white space.
    assert.deepEqual(readObjects(stdout), readObjects(readFileSync(renderedFile(values), "utf8")));
  });
}

describe("the chart", { skip: noHelm() }, () => {
  it("the chart passes helm lint --strict", () => {
    const { status, stdout } = run("lint", "--strict", chart);
    assert.equal(status, 0, stdout);
  });

  for (const [what, set, expected] of [
    ["a misspelt value", "replica=3", /additional properties 'replica' not allowed/],
    ["a port outside the range", "service.port=70000", /service\/port.*70000|maximum/],
    ["no admin listener, which probes need", "config.listeners.admin=null", /admin/],
    [
      "a port that the system would choose",
      "config.listeners.http.address=:0",
      /the address ":0" has no port; expected ":8080"/,
    ],
    ["an Ingress without hosts", "ingress.enabled=true", /ingress\/hosts|minItems/],
  ] as const)
    it(`the chart refuses ${what} with an error that names it`, () => {
      const { status, stderr } = template("--set", set);
      assert.notEqual(status, 0);
      assert.match(stderr, expected);
    });

  it("the chart makes a token of its own for the admin listener where none is named", () => {
    const secret = readObjects(template().stdout).find(({ kind }) => kind === "Secret");
    assert.match(Buffer.from(secret?.data?.token ?? "", "base64").toString(), /^[A-Za-z0-9]{40}$/);
  });
});

for (const [name, file] of manifests)
  describe(name, () => {
    const objects = readObjects(readFileSync(file, "utf8"));
    const deployment = only("Deployment");
    const template = deployment.spec.template as NonNullable<KubernetesObject["spec"]["template"]>;
    const pod: PodSpec = template.spec;
    const container = pod.containers[0] as Container;

    it(`${name} is valid by the schemas of Kubernetes, strictly`, { skip: noValidator() }, () => {
      const { stdout, stderr } = spawnSync("python3", ["-c", validator, file], { encoding: "utf8" });
      assert.equal(stderr, "");
      const checked = stdout.trim().split("\n");
      const unknown = ["ServiceMonitor", "HTTPRoute"];
      assert.equal(checked.length, objects.filter(({ kind }) => !unknown.includes(kind)).length);
    });

    it(`${name} runs its pods as the restricted Pod Security Standard wants, as the user of the image, without a token of the cluster`, () => {
      const image = readDockerfile(join(root, "Dockerfile")).at(-1);
      const user = Number(image?.instructions.find(each => each.name === "USER")?.rest.split(":")[0]);
      assert.deepEqual(pod.securityContext, {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        seccompProfile: { type: "RuntimeDefault" },
      });
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.equal(pod.automountServiceAccountToken, false);
      for (const account of objects.filter(({ kind }) => kind === "ServiceAccount"))
        assert.equal(account.automountServiceAccountToken, false);
    });

    it(`${name} starts the image as it is meant to be, with the configuration as a folder`, () => {
      const image = readDockerfile(join(root, "Dockerfile")).at(-1);
      assert.ok(image !== undefined);
      assert.deepEqual(container.args ?? execForm(image, "CMD"), execForm(image, "CMD"));
      assert.equal(container.command, undefined);
      const mount = container.volumeMounts.find(({ mountPath }) => mountPath === "/etc/protogate");
      assert.ok(mount !== undefined && mount.subPath === undefined);
      for (const each of container.volumeMounts)
        assert.ok(
          pod.volumes.some(volume => volume.name === each.name),
          each.name,
        );
    });

    it(`${name} has selectors that fit, and targets that exist`, () => {
      const labels = template.metadata.labels;
      const ports = container.ports.map(port => port.name);
      for (const object of objects) {
        const { spec, kind } = object;
        if (["Deployment", "PodDisruptionBudget"].includes(kind))
          assert.ok(selects(spec.selector?.matchLabels ?? { missing: "" }, labels), kind);
        if (kind === "NetworkPolicy")
          assert.ok(selects(spec.podSelector?.matchLabels ?? { missing: "" }, labels));
        if (kind === "Service") {
          assert.ok(selects(spec.selector as Readonly<Record<string, string>>, labels));
          for (const { targetPort } of spec.ports ?? []) assert.ok(ports.includes(targetPort), targetPort);
        }
        if (kind === "HorizontalPodAutoscaler")
          assert.equal(spec.scaleTargetRef?.name, deployment.metadata.name);
        if (kind === "ServiceMonitor") {
          const services = objects.filter(
            each =>
              each.kind === "Service" && selects(spec.selector?.matchLabels ?? {}, each.metadata.labels),
          );
          assert.equal(services.length, 1);
          assert.ok(services[0]?.spec.ports?.some(port => port.name === spec.endpoints?.[0]?.port));
        }
      }
    });

    it(`${name} leads no Service for clients to the admin listener`, () => {
      for (const { spec, metadata } of objects.filter(({ kind }) => kind === "Service"))
        if (!metadata.name.endsWith("-admin"))
          assert.ok(!spec.ports?.some(({ targetPort }) => targetPort === "admin"), metadata.name);
    });

    it(`${name} probes paths that the admin listener serves to everybody`, () => {
      assert.equal(container.startupProbe.httpGet.path, "/livez");
      assert.equal(container.livenessProbe.httpGet.path, "/livez");
      assert.equal(container.readinessProbe.httpGet.path, "/readyz");
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
        assert.equal(probe.httpGet.port, "admin");
    });

    const text = objects.find(({ kind }) => kind === "ConfigMap")?.data;
    // Without Helm the configuration is yours.
    if (text !== undefined)
      it(`${name} has a configuration without errors, whose ports are those of the container, and more time to end than the drain takes`, {
        skip: withoutOpenssl,
      }, () => {
        const config = readHere(
          text,
          Object.fromEntries(container.env.map(({ name: key }) => [key, "x".repeat(40)])),
        );
        const wanted = ["http", "realtime", "admin"].flatMap(key => {
          const { address } = (config.listeners as Record<string, { address?: string }>)[key] ?? {};
          return address === undefined
            ? []
            : [{ name: key, containerPort: Number(/\d+$/.exec(address)?.[0]) }];
        });
        assert.deepEqual(container.ports, wanted);
        const preStop = Number(container.lifecycle.preStop.exec.command[1]);
        const drainSeconds = config.server.drain / 1000;
        assert.ok(pod.terminationGracePeriodSeconds > preStop + drainSeconds);
        const { scheme } = container.readinessProbe.httpGet;
        assert.equal(scheme === "HTTPS", config.listeners.admin?.tls !== undefined);
      });

    function only(kind: string): KubernetesObject {
      const found = objects.filter(object => object.kind === kind);
      assert.equal(found.length, 1, kind);
      return found[0] as KubernetesObject;
    }
  });

/** Reads the files of a ConfigMap as the gateway would, with certificates in the place of the mounted ones. */
function readHere(
  files: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>>,
): ReturnType<typeof readConfig>["config"] {
  const place = mkdtempSync(join(tmpdir(), "protogate-configmap-"));
  try {
    const { certFile, keyFile } = new Authority("cluster").issue("tls", "/CN=edge");
    for (const [name, content] of Object.entries(files))
      writeFileSync(
        join(place, name),
        content.replaceAll("/run/tls/tls.crt", certFile).replaceAll("/run/tls/tls.key", keyFile),
      );
    return readConfig(join(place, "gateway.yaml"), environment).config;
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Of all that the rendering of values depends on. */
function fingerprint(values: string): string {
  const files = [
    ...readdirSync(chart, { recursive: true, encoding: "utf8" })
      .sort()
      .map(name => join(chart, name))
      .filter(path => statSync(path).isFile()),
    join(folder, `${values}.values.yaml`),
  ];
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update("\0");
  return `rendered by Helm from the chart and values of sha256 ${hash.digest("hex")}`;
}

function template(...options: string[]): { status: number | null; stdout: string; stderr: string } {
  return run("template", "gateway", chart, "--namespace", "edge", "--kube-version", "1.31", ...options);
}

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(helm ?? "", args, { encoding: "utf8" });
}

function findHelm(): string | undefined {
  const command = process.env.HELM ?? "helm";
  return spawnSync(command, ["version", "--short"]).status === 0 ? command : undefined;
}

function noHelm(): string | false {
  return helm === undefined ? "helm is not installed, and HELM names no binary of it" : false;
}

/** Prints a line for each object that has a schema; those of operators have none. */
const validator = `
import sys, yaml, kubernetes_validate as kv
for document in yaml.safe_load_all(open(sys.argv[1])):
    try:
        kv.validate(document, "1.31", strict=True)
        print(document["kind"])
    except kv.SchemaNotFoundError:
        pass
`;

function noValidator(): string | false {
  const { status } = spawnSync("python3", ["-c", "import kubernetes_validate"]);
  return status === 0 ? false : "kubernetes-validate is not installed for Python";
}
