// From the API's own description of a request to the fields of a form.

const LABELS = {
  dataset: "Data set", lr: "Learning rate", lr_encoder: "Learning rate of the encoder", lr_head: "Learning rate of the head", optim: "Optimisation", in_context: "In-context segmentation", knn: "Nearest neighbours",
};

/** The fields of the body of `POST path`: a tree of {key, path, label, help, kind, …}. */
export function fieldsOf(document, path) {
  const { schema } = document.paths[path].post.requestBody.content["application/json"];
  return children(document, schema, []);
}

/** Of a section that may be left out as a whole (`optional`), no field is needed. */
function children(document, schema, path, optional = false) {
  const { properties, required = [] } = resolved(document, schema);
  return Object.entries(properties).map(([key, property]) =>
    field(document, property, [...path, key], !optional && required.includes(key)));
}

function field(document, property, path, required) {
  const schema = resolved(document, property);
  const options = (schema.anyOf ?? [schema]).map((one) => resolved(document, one));
  const types = options.filter((one) => one.type !== "null");
  const main = types.length === 1 ? { ...schema, ...types[0] } : schema;
  const key = path[path.length - 1];
  const found = {
    key, path, required,
    name: path.join("."),
    label: labelOf(key),
    help: property.description ?? schema.description ?? types[0].description ?? "",
    nullable: types.length < options.length,
    fallback: schema.default ?? null,
    kind: kindOf(key, types),
    ...bounds(main),
  };
  if (found.kind === "section") found.fields = children(document, types[0], path, found.nullable);
  return found;
}

/** Follow `$ref`; what stands beside it holds. */
function resolved(document, { $ref: reference, ...rest }) {
  if (!reference) return rest;
  return { ...document.components.schemas[reference.split("/").pop()], ...rest };
}

function kindOf(key, types) {
  const [first] = types;
  const isEncoder = (schema) => schema.$ref?.endsWith("/EncoderChoice");
  if (key === "encoder") return "encoder";
  if (key === "dataset") return "dataset";
  if (types.some((one) => one.prefixItems) && types.length > 1) return "size";
  if (first.type === "object") return "section";
  if (first.enum) return "choice";
  if (first.type === "boolean") return "boolean";
  if (first.type === "integer" || first.type === "number") return "number";
  if (first.type !== "array") return "text";
  if (first.prefixItems) return "range";
  if (isEncoder(first.items)) return "encoders";
  if (first.items.enum) return "choices";
  return first.items.type === "integer" ? "numbers" : "texts";
}

/** What HTML's own inputs can check. */
function bounds(schema) {
  return {
    choices: schema.enum ?? schema.items?.enum,
    min: schema.minimum ?? schema.exclusiveMinimum,
    max: schema.maximum ?? schema.exclusiveMaximum,
    step: schema.type === "integer" ? 1 : "any",
    maxLength: schema.maxLength,
    unit: /pixels/.test(schema.description ?? "") ? "px" : /^Minutes/.test(schema.description ?? "") ? "min" : "",
  };
}

function labelOf(key) {
  const words = key.replaceAll("_", " ");
  return LABELS[key] ?? words[0].toUpperCase() + words.slice(1);
}

/** All fields of a tree that hold a value. */
export function leaves(fields) {
  return fields.flatMap((one) => (one.kind === "section" ? leaves(one.fields) : [one]));
}
