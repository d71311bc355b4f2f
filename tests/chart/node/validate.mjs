// Reads a list of objects from stdin, and writes for each one what its schema refuses: null for nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const GROUPS = {
  "monitoring.coreos.com/v1": "prometheus-operator/monitoring.coreos.com/v1",
  "keda.sh/v1alpha1": "keda/keda.sh/v1alpha1",
};

async function refusal(packages, manifest) {
  const models = await import(pathToFileURL(join(packages, GROUPS[manifest.apiVersion], "index.js")));
  try {
    new models[manifest.kind](manifest).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

const manifests = JSON.parse(readFileSync(0, "utf-8"));
const refusals = [];
for (const manifest of manifests) refusals.push(await refusal(process.argv[2], manifest));
process.stdout.write(JSON.stringify(refusals));
