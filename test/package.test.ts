/**
 * The package as somebody gets it: built and packed from what lies in the repository, installed with its peers in an
 * empty project, as the README says.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { existsSync, globSync, readFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { join } from "node:path"
import { firstTurn, lines as spokenLines, root, simulator, spoken, wav } from "./support/command.ts"
import { env, manifest, packedApp, readme } from "./support/packedApp.ts"

const { folder, good, packed, run, write } = packedApp()

const exported = (): ReadonlyArray<string> =>
  [
    "effect-flux-sagemaker",
    ...globSync("src/*.ts", { cwd: root }).map((path) => path.slice(4, -3)).filter((name) => !["index", "bin", "flux-stt"].includes(name)),
    ...["Fault", "Ledger", "Profile", "Recording", "Replay", "Script", "SimulatorServer", "Stamp"].map((name) => `simulator/${name}`)
  ].map((name) => name.startsWith("effect-") ? name : `effect-flux-sagemaker/${name}`)

describe.concurrent("the package", { timeout: 120_000 }, () => {
  it("holds code, types, sources and licences, and nothing else", () => {
    const strange = packed().filter((path) => !/^(package\.json|README\.md|LICENSE|src\/.*\.(ts|wav|txt|md)|dist\/.*\.(js|js\.map|d\.ts|wav|txt|md))$/.test(path))
    assert.deepStrictEqual(strange, [])
    assert.includeMembers([...packed()], [
      "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "dist/flux-stt.js", "dist/command/bin.js", "dist/command/LICENSES.txt",
      "dist/simulator/sample/sample.wav", "src/index.ts"
    ])
    // what a source map points to is there
    assert.deepStrictEqual(globSync("src/**/*.ts", { cwd: root }).filter((path) => !packed().includes(path)), [])
  })

  it("runs no script where it is installed, and brings no development dependency", async () => {
    const installed = JSON.parse(readFileSync(join(folder(), "node_modules/effect-flux-sagemaker/package.json"), "utf8"))
    for (const script of ["preinstall", "install", "postinstall", "prepare"]) assert.notProperty(installed.scripts, script)
    const tree = JSON.parse(await good("npm", ["ls", "--all", "--json"]))
    assert.sameMembers(
      Object.keys(tree.dependencies["effect-flux-sagemaker"].dependencies),
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies })
    )
  })

  it("imports only what it asks for", () => {
    const asked = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies), ...Object.keys(manifest.optionalDependencies), "effect-flux-sagemaker"]
    const isKnown = (name: string): boolean =>
      name.startsWith(".") || name.startsWith("node:") || builtinModules.includes(name) || asked.some((one) => name === one || name.startsWith(`${one}/`))
    const strange = packed().filter((path) => /^dist\/(?!command\/).*\.js$/.test(path)).flatMap((path) => {
      const text = readFileSync(join(folder(), "node_modules/effect-flux-sagemaker", path), "utf8")
      return [...text.matchAll(/^(?:import|export) [^"]*?from "([^"]+)"|\bimport\("([^"]+)"\)/gm)].flatMap(([, one, other]) => {
        const name = one ?? other ?? ""
        return isKnown(name) ? [] : [`${path}: ${name}`]
      })
    })
    assert.deepStrictEqual(strange, [])
  })

  for (const [name, options] of Object.entries({ NodeNext: ["--module", "nodenext"], bundler: ["--module", "esnext", "--moduleResolution", "bundler", "--skipLibCheck"] })) {
    it(`has types for every path, under ${name} resolution`, async () => {
      const program = write(`types-${name}.ts`, [
        ...exported().map((path, at) => `import * as M${at} from "${path}"`),
        "import { createTranscriber, FluxSettings, Transcriber } from \"effect-flux-sagemaker\"",
        `export const modules = [${exported().map((_, at) => `M${at}`).join(", ")}]`,
        "// @ts-expect-error a name is a text",
        "createTranscriber({ endpointName: 7 })",
        "export const layer = Transcriber.layer",
        "export const settings: FluxSettings.SettingsPatch = { eotThreshold: 0.8, openTimeout: \"2 seconds\" }"
      ].join("\n"))
      await good(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--target", "es2022", "--types", "node", ...options, program])
    })
  }

  it("imports by every path, and by no other", async () => {
    await good(process.execPath, [write("imports.js", exported().map((path) => `await import("${path}")`).join("\n"))])
    for (const path of ["internal/turns", "cli/flags", "sagemaker/open", "simulator/Endpoint", "bin", "flux-stt", "command/bin"]) {
      const { status, stderr } = await run(process.execPath, ["-e", `import("effect-flux-sagemaker/${path}")`])
      assert.strictEqual(status, 1)
      assert.include(stderr, "ERR_PACKAGE_PATH_NOT_EXPORTED")
    }
  })

  it("loads no code of AWS for a session, or promises, over another transport", async () => {
    const hook = write("hook.js", `
      import { registerHooks } from "node:module"
      registerHooks({ resolve: (name, context, next) => {
        const found = next(name, context)
        if (/[\\\\/]@(aws-sdk|smithy)[\\\\/]/.test(found.url)) console.log("AWS: " + found.url)
        return found
      } })
    `)
    const program = write("other.js", `
      import { Effect, Stream } from "effect"
      import * as FakeTransport from "effect-flux-sagemaker/FakeTransport"
      import * as FluxSession from "effect-flux-sagemaker/FluxSession"
      import * as FluxSettings from "effect-flux-sagemaker/FluxSettings"
      import { createTranscriber } from "effect-flux-sagemaker/PromiseTranscriber"
      import * as Script from "effect-flux-sagemaker/simulator/Script"
      const samples = Int16Array.from({ length: 24_000 }, (_, i) => i < 8000 ? 8000 * Math.sin(i / 5) : 0)
      const audio = [new Uint8Array(samples.buffer)]
      const transport = FakeTransport.layer({ script: Script.fromText("by another way") })
      const say = (event) => event.type === "EndOfTurn" && console.log(event.transcript)
      await Effect.runPromise(Stream.fromIterable(audio).pipe(
        FluxSession.transcribe({ id: "one", settings: FluxSettings.defaults }),
        Stream.runForEach((event) => Effect.sync(() => say(event))),
        Effect.provide(transport)
      ))
      const transcriber = createTranscriber({ transport })
      for await (const event of transcriber.transcribe(audio)) say(event)
      await transcriber.close()
    `)
    assert.strictEqual(await good(process.execPath, ["--import", `./${hook}`, program]), "by another way\nby another way\n")
    // the hook does see them
    assert.include(await good(process.execPath, ["--import", `./${hook}`, "--input-type=module", "-e", "await import(\"effect-flux-sagemaker/SageMakerTransport\")"]), "AWS: ")
  })

  it("has a command", async () => {
    assert.strictEqual(await good("npx", ["flux-stt", "--version"]), `flux-stt v${manifest.version}\n`)
    const stdout = await good("npx", ["flux-stt", "transcribe", "--simulate", "--pace", "fast"])
    assert.deepStrictEqual(stdout.trim().split("\n").map(spoken), spokenLines)
    const doctor = await run("npx", ["flux-stt", "doctor"])
    assert.strictEqual(doctor.status, 1)
    assert.match(doctor.stdout, /^ok {4}node /)
  })

  describe("the README's programs, as they stand there", () => {
    const snippet = (path: string): string => {
      const text = new RegExp(`<!-- ${path} -->\\n\`\`\`ts\\n([^]*?)\`\`\``).exec(readme)?.[1]
      assert.isDefined(text, path)
      return text ?? ""
    }

    it("embed and microphone, against an endpoint", async () => {
      const { env: ofClients, stop, url } = await simulator()
      write("call.wav", firstTurn)
      // the simulator's address in place of SageMaker's
      const embed = write("embed.ts", snippet("scratch/embed.ts").replace(`region: "us-east-2" }`, `region: "us-east-2", endpointUrl: "${url}" }`))
      const microphone = write("microphone.ts", snippet("scratch/microphone.ts"))
      const output = (program: string, input: Uint8Array | undefined, environment: Record<string, string>): Promise<string> =>
        new Promise((resolve) => {
          const child = spawn(process.execPath, [program], { cwd: folder(), env: environment })
          let text = ""
          for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk))
          child.stdin.end(input)
          child.on("close", (status) => resolve(`${text}${status}`))
        })
      const [embedded, recorded] = await Promise.all([
        output(embed, undefined, { ...env(), ...ofClients }),
        output(microphone, wav.subarray(44), { ...env(), ...ofClients })
      ])
      assert.strictEqual(embedded, `${spokenLines[0]}\n0`)
      assert.strictEqual(recorded, `${spokenLines.join("\n")}\n0`)
      await stop()
    })

    it("an agent that replies early, on a fake transport", async () => {
      write("early-replies.ts", snippet("scratch/early-replies.ts"))
      const program = write("early.ts", `
        import { Effect, Layer, Stream } from "effect"
        import { Audio, FakeTransport, FluxSettings, Script, Transcriber } from "effect-flux-sagemaker"
        import { talk } from "./early-replies.ts"
        const format = { encoding: "linear16", sampleRate: 16_000 } as const
        const samples = Int16Array.from({ length: 32_000 }, (_, i) => i < 8000 ? 8000 * Math.sin(i / 5) : 0)
        const microphone = Stream.make(new Uint8Array(samples.buffer)).pipe(Audio.frames(format), Audio.paced(format))
        const Flux = Transcriber.layer.pipe(
          Layer.provide(FakeTransport.layer({ script: Script.fromText("Where is it?") })), Layer.provide(FluxSettings.layer()))
        await Effect.runPromise(talk(microphone).pipe(Effect.provide(Flux)))
      `)
      const stdout = await good(process.execPath, [program])
      assert.match(stdout, /^caller: Where is it\?\nagent: You asked: Where is it\?\n {2}spoken \d+ ms earlier\n$/)
    })

    it("a contract for a transport of one's own", async () => {
      const [, shown = ""] = /```ts\n(for \(const check of TransportContract[^]*?)```/.exec(readme) ?? []
      const program = write("contract.ts", `
        import { Effect } from "effect"
        import { FakeTransport, TransportContract } from "effect-flux-sagemaker"
        const serverThatActsAs = (peer: TransportContract.Peer) => peer
        const MyTransport = { layerTo: FakeTransport.layerPeer }
        const checks: Array<Effect.Effect<unknown, unknown>> = []
        const it = { live: (_name: string, run: () => Effect.Effect<unknown, unknown>) => void checks.push(run()) }
        ${shown}
        await Effect.runPromise(Effect.forEach(checks.slice(0, 3), (check) => check))
        console.log(checks.length)
      `)
      assert.isAbove(Number(await good(process.execPath, [program])), 10)
    })

    it("all of them are these, or run elsewhere", () => {
      const shown = [...readme.matchAll(/(?:<!-- (scratch\/\S+) -->\n)?```ts\n/g)].map(([, path]) => path ?? "contract")
      // tests that are imported, and run, where they are compared; a process with signals; and those above
      assert.deepStrictEqual(shown.toSorted(), [
        "contract", "scratch/early-replies.ts", "scratch/embed.ts", "scratch/graceful-shutdown.ts", "scratch/microphone.ts",
        "scratch/test-with-a-server.ts", "scratch/test-your-agent.ts"
      ])
      assert.isTrue(existsSync(join(root, "test/gracefulShutdown.test.ts")))
    })
  })
})
