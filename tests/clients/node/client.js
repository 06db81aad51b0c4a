// Exports by Google's client for Node.js. Arguments: the root of the API, the API version, a store's name, a table's URI.
// What came of each call is one line of JSON.
"use strict";

const { healthcare } = require("@googleapis/healthcare");

const [root, version, store, tableUri] = process.argv.slice(2);
const api = healthcare({ version, rootUrl: root }).projects.locations;
const datasets = api.datasets;
const parent = store.split("/dicomStores/")[0];

function told(call, value) {
  console.log(JSON.stringify({ call, value }));
}

async function refused(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.status ?? Number(error.code), error: error.response.data.error };
  }
}

async function ended(name) {
  for (;;) {
    const { data } = await datasets.operations.get({ name });
    if (data.done) return data;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function main() {
  told("locations", (await api.list({ name: parent.split("/locations/")[0] })).data);
  told("datasets", (await datasets.list({ parent: parent.split("/datasets/")[0] })).data);
  told("store", (await datasets.dicomStores.get({ name: store })).data);
  const requestBody = { bigqueryDestination: { tableUri, writeDisposition: "WRITE_APPEND" } };
  const { name } = (await datasets.dicomStores.export({ name: store, requestBody })).data;
  told("operation", await ended(name));
  told("fields", (await datasets.operations.get({ name, fields: "name,metadata.counter.success" })).data);
  told("operations", (await datasets.operations.list({ name: parent, filter: "done=true", returnPartialSuccess: true })).data);
  told("cancel", await refused(datasets.operations.cancel({ name, requestBody: {} })));
  told("wrong", await refused(datasets.dicomStores.export({ name: store, requestBody: { bigqueryDestination: { tableUri: "x", force: "y" } } })));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
