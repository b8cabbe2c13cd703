/** The environment of AWS as a test wants it: the SDK reads that of the process. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"

/** What a machine may have set that bears on where a call goes, and as whom. */
const isOfMachine = (name: string): boolean => /^AWS_|^FLUX_|_proxy$/i.test(name)

/** What there is to be found. */
export interface Environment {
  readonly env?: Readonly<Record<string, string>>
  /** The shared config file. */
  readonly config?: string
  /** The shared credentials file. */
  readonly credentials?: string
}

/** Runs with these variables and files, and nothing of the machine's own. Not for tests that run at the same time. */
export const withEnvironment = ({ config = "", credentials = "", env = {} }: Environment) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const saved = { ...process.env }
      const folder = mkdtempSync(join(tmpdir(), "flux-aws-"))
      writeFileSync(join(folder, "config"), config)
      writeFileSync(join(folder, "credentials"), credentials)
      for (const name of Object.keys(process.env)) if (isOfMachine(name)) delete process.env[name]
      Object.assign(process.env, {
        AWS_CONFIG_FILE: join(folder, "config"),
        AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials"),
        AWS_EC2_METADATA_DISABLED: "true",
        ...env
      })
      return { folder, saved }
    }),
    () => effect,
    ({ folder, saved }) =>
      Effect.sync(() => {
        for (const name of Object.keys(process.env)) if (isOfMachine(name)) delete process.env[name]
        Object.assign(process.env, saved)
        rmSync(folder, { recursive: true })
      })
  )
