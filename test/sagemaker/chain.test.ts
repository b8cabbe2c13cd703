/** What the SDK's chain says, round by round. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Chain from "../../src/sagemaker/chain.ts"
import { withEnvironment } from "../support/awsEnvironment.ts"

const prefix = "@aws-sdk/credential-provider-node - "
const [env, sso, ini, remote] = ["defaultProvider::fromEnv", "defaultProvider::fromSSO", "defaultProvider::fromIni", "defaultProvider::remoteProvider"] as const

describe("a chain that hangs", () => {
  const rows: ReadonlyArray<readonly [name: string, marks: ReadonlyArray<string>, who: RegExp]> = [
    ["at its first provider", [env], /^environment variables: nothing came within 5 s$/],
    ["at a profile", [env, sso, ini], /^profile default: /],
    ["at the instance's role", [env, sso, ini, remote], /^the instance's role: /],
    ["at the first provider of its second round", [env, sso, ini, remote, env], /^environment variables: /],
    ["before any provider of its second round, with AWS_PROFILE", [sso, ini, remote, sso], /^environment variables: /],
    ["at a profile in its second round", [sso, ini, remote, sso, ini], /^profile default: /]
  ]
  for (const [name, marks, who] of rows) {
    it.effect(`${name} is told so`, () =>
      Effect.gen(function*() {
        const { late, logger } = Chain.make()
        for (const mark of marks) logger.debug(`${prefix}${mark}`)
        assert.match((yield* Effect.promise(() => late(5))).message, who)
      }).pipe(withEnvironment({})))
  }
})
