// Compile the exported CQL and ask it about the calls on standard input (one JSON object a line: {id, drafts, listed}).
// node run.mjs FOLDER < calls.ndjson  ->  one line {id, critical} each. Needs @cqframework/cql, cql-execution, cql-exec-fhir.
import { createRequire } from "node:module";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = process.argv[2];
const modules = process.env.CQL_MODULES ?? process.cwd();
const require = createRequire(join(modules, "package.json"));
const { CqlTranslator, LibraryManager, ModelManager, createLibrarySourceProvider, createModelInfoProvider, stringAsSource } =
  await import(pathToFileURL(join(modules, "node_modules/@cqframework/cql/cql-to-elm.mjs")));
const cql = require("cql-execution");
const { PatientSource } = require("cql-exec-fhir");
const fhirWrapper = require("cql-exec-fhir").FHIRWrapper.FHIRv401();

const info = join(dirname(require.resolve("cql-exec-fhir/package.json")), "lib/modelInfos/fhir-modelinfo-4.0.1.xml");
const here = dirname(fileURLToPath(import.meta.url));
const modelFiles = { FHIR: info, System: join(here, "system-modelinfo.xml") };
const helpers = readFileSync(join(here, "FHIRHelpers.cql"), "utf8");
const text = readFileSync(join(folder, "NaltrexoneOpioidCriticals.cql"), "utf8");

function manager() {
  const models = new ModelManager();
  models.modelInfoLoader.registerModelInfoProvider(
    createModelInfoProvider((id) => (id in modelFiles ? stringAsSource(readFileSync(modelFiles[id], "utf8")) : null)), true);
  const libraries = new LibraryManager(models);
  libraries.librarySourceLoader.registerProvider(
    createLibrarySourceProvider((id) => (id === "FHIRHelpers" ? stringAsSource(helpers) : null)));
  return libraries;
}

function compile(source) {
  const elm = JSON.parse(CqlTranslator.fromText(source, manager()).toJson());
  const errors = (elm.library.annotation ?? []).filter((a) => a.errorSeverity === "error");
  if (errors.length) {
    for (const error of errors) console.error(`line ${error.startLine}: ${error.message}`);
    process.exit(1);
  }
  return elm;
}

const library = compile(text);
const sets = Object.fromEntries(readdirSync(folder).filter((f) => f.startsWith("ValueSet-")).map((file) => {
  const found = JSON.parse(readFileSync(join(folder, file), "utf8"));
  return [found.url, { [found.version]: found.expansion.contains.map((c) => ({ code: c.code, system: c.system, version: found.version })) }];
}));
const repository = new cql.Repository({ library, helpers: compile(helpers) });
const lib = new cql.Library(library, repository);

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { id, drafts, listed, now } = JSON.parse(line);
  const source = new PatientSource.FHIRv401();
  const patient = { resourceType: "Patient", id: "p" };
  const own = listed.map((r) => ({ ...r, subject: { reference: "Patient/p" } }));
  source.loadBundles([{ resourceType: "Bundle", type: "collection", entry: [patient, ...own].map((resource) => ({ resource })) }]);
  const executor = new cql.Executor(lib, new cql.CodeService(sets), { DraftOrders: drafts.map((d) => fhirWrapper.wrap(d)) });
  const results = await executor.exec(source, cql.DateTime.fromJSDate(new Date(now), 0));
  console.log(JSON.stringify({ id, critical: results.patientResults.p["Is Critical"] }));
}
