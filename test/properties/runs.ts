/**
 * How often the properties are run. `FLUX_PROPERTY_RUNS=5000 npm test` runs them longer, with other seeds;
 * `FLUX_PROPERTY_SEED=...` with this one; `FLUX_PROPERTY_SIZE=30` lets lists grow to that.
 * A failure prints the script that shows it, shrunk, and a token:
 * `FLUX_PROPERTY_REPLAY=<token> npx vitest run --config test/vitest.config.ts test/properties -t "<name>"` runs it again.
 */
const asked = Number(process.env["FLUX_PROPERTY_RUNS"] ?? 0)
const size = Number(process.env["FLUX_PROPERTY_SIZE"] ?? 0)
const seed = process.env["FLUX_PROPERTY_SEED"]
const replay = process.env["FLUX_PROPERTY_REPLAY"]

/** Options of a property that is run so often where nothing else is asked for. */
export const runs = (usual: number) => ({
  arbitrary: {
    runs: asked > 0 ? asked : usual,
    maxShrinks: 2000,
    ...(size > 0 ? { size } : {}),
    ...(replay === undefined ? {} : { replay }),
    ...(seed !== undefined ? { seed } : asked > 0 ? {} : { seed: "flux" })
  },
  timeout: Math.max(120_000, asked * 300)
})
