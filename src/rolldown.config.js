/** Puts the built command into few files: loading hundreds takes longer than all else until the first event. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** The folder of the package that a module is of. */
const packageOf = (module) => {
  let folder = dirname(module)
  while (!existsSync(join(folder, "package.json")) || JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).name === undefined) folder = dirname(folder)
  return folder
}

/** What is taken from others goes with their licences. */
const licences = {
  name: "licences",
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []))
    const packages = new Set(modules.filter((module) => /[\\/]node_modules[\\/]/.test(module) && existsSync(module)).map(packageOf))
    const texts = [...packages].map((folder) => {
      const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
      const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
      return `${name} ${version} (${license})\n\n${file === undefined ? "" : readFileSync(join(folder, file), "utf8").trim()}\n`
    })
    this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: texts.toSorted().join(`\n${"-".repeat(80)}\n\n`) })
  }
}

export default {
  input: "dist/bin.js",
  platform: "node",
  // made at start, and only there, where it is installed
  external: ["selfsigned"],
  plugins: [licences],
  logLevel: "warn",
  output: {
    dir: "dist/command",
    format: "esm",
    comments: { legal: false },
    // names stay: they are in stack traces
    minify: { mangle: false, compress: true, codegen: { removeWhitespace: true } }
  }
}
