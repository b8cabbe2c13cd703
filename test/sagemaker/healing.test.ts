/** Which failures of the SDK's own providers may pass: each of them as it is, against services and programs of this test. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CredentialsProviderError } from "@smithy/core/config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Credentials from "../../src/sagemaker/credentials.ts"
import * as endpoint from "../../src/sagemaker/endpoint.ts"
import { thrownMayPass } from "../../src/sagemaker/healing.ts"
import { type Environment, withEnvironment } from "../support/awsEnvironment.ts"

const nobody = "http://127.0.0.1:1"

/** An answer of a service; none with status 0. */
interface Answer {
  readonly status: number
  readonly body?: string
  readonly type?: string
}
/** A service that answers so. */
const serving = (answer: Answer | ((path: string) => Answer)) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = http.createServer((request, response) => {
        const { body = "no", status, type } = typeof answer === "function" ? answer(request.url ?? "") : answer
        if (status === 0) return
        response.writeHead(status, type === undefined ? {} : { "x-amzn-errortype": type, "content-type": "text/xml" })
        response.end(body)
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const address = server.address()
      return {
        server,
        url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
      }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
/** A folder of its own. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "flux-healing-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const asked = Effect.map(
  endpoint.examine({ endpointName: "any", region: "us-east-1", endpointUrl: nobody }),
  ({ credentials }) => Credentials.make(credentials)
)
/** Whether what the chain fails with is said to pass, and its words. */
const failure = Effect.gen(function*() {
  const error = yield* Effect.flip((yield* asked).take)
  return { passes: error.reason._tag === "CredentialsUnavailable" ? error.reason.transient === true : undefined, isRetryable: error.isRetryable, words: error.message }
})

const process = (command: string): Environment => ({ config: `[default]\ncredential_process = ${command}\n` })
const printing = (text: object | string): Environment => process(`echo '${typeof text === "string" ? text : JSON.stringify(text)}'`)
const role = "role_arn = arn:aws:iam::123456789012:role/r\n"
const assuming = `[default]\n${role}source_profile = base\n[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = secret-of-base\n`
const sso = "[default]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session work]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n"
const instanceAt = (url: string): Environment => ({ env: { AWS_EC2_METADATA_DISABLED: "false", AWS_EC2_METADATA_SERVICE_ENDPOINT: url } })
const containerAt = (url: string): Environment => ({ env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/role` } })

/** Where a service is meant, its address is what it is given, which answers as the row says. */
interface Row {
  readonly name: string
  readonly at: (url: string, folder: string) => Environment
  readonly answer?: Answer
  readonly passes: boolean
  readonly says: RegExp
}
const denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
const rows: ReadonlyArray<Row> = [
  { name: "nothing set up", at: () => ({}), passes: false, says: /are not set; profile default: is in neither/ },
  { name: "nothing set up, and no instance's role within reach", at: () => instanceAt(nobody), passes: false, says: /instance's role: .*ECONNREFUSED/ },
  { name: "a profile that is nowhere", at: () => ({ env: { AWS_PROFILE: "nope" } }), passes: false, says: /profile nope/ },
  { name: "half of the keys", at: () => ({ env: { AWS_ACCESS_KEY_ID: "AKIDHALF" } }), passes: false, says: /AWS_SECRET_ACCESS_KEY is not/ },
  { name: "a role without a source", at: () => ({ config: `[default]\n${role}` }), passes: false, says: /neither source_profile/ },
  // programs
  { name: "a program that is nowhere", at: () => process("no-such-program-of-flux --x"), passes: false, says: /not found/ },
  { name: "a program whose path is nowhere", at: (_, own) => process(`${own}/nothing`), passes: false, says: /not found|No such file/ },
  {
    name: "a program that may not be run",
    at: (_, own) => {
      writeFileSync(`${own}/closed`, "#!/bin/sh\n")
      chmodSync(`${own}/closed`, 0o644)
      return process(`${own}/closed`)
    },
    passes: false,
    says: /Permission denied/
  },
  { name: "a program that prints rubbish", at: () => printing("hello"), passes: false, says: /invalid JSON/ },
  { name: "a program that prints null", at: () => printing("null"), passes: false, says: /gave no credentials/ },
  { name: "a program of another version", at: () => printing({ Version: 2 }), passes: false, says: /Version 1/ },
  { name: "a program that prints half of the keys", at: () => printing({ Version: 1, AccessKeyId: "AKIDX" }), passes: false, says: /invalid credentials/ },
  {
    name: "a program that prints keys with blanks",
    at: () => printing({ Version: 1, AccessKeyId: "AKID X", SecretAccessKey: "s" }),
    passes: false,
    says: /the access key id has a blank/
  },
  { name: "a program that fails", at: () => process("sh -c 'echo vault is sealed >&2; exit 3'"), passes: true, says: /vault is sealed/ },
  { name: "a program that fails without a word", at: () => process("sh -c 'exit 3'"), passes: true, says: /said nothing/ },
  { name: "a program that is killed", at: () => process("kill -9 $$"), passes: true, says: /credential_process failed/ },
  {
    name: "a program that prints keys that have expired",
    at: () => printing({ Version: 1, AccessKeyId: "AKIDX", SecretAccessKey: "s", Expiration: "2020-01-01T00:00:00Z" }),
    passes: true,
    says: /expired credentials/
  },
  // services
  { name: "an instance's role that answers 503", at: instanceAt, answer: { status: 503 }, passes: true, says: /instance's role: .*\(503\)/ },
  { name: "an instance's role that answers 429", at: instanceAt, answer: { status: 429 }, passes: true, says: /\(429\)/ },
  { name: "an instance without a role", at: instanceAt, answer: { status: 404 }, passes: false, says: /\(404\)/ },
  { name: "an instance that answers rubbish", at: instanceAt, answer: { status: 200, body: "hello" }, passes: false, says: /is not JSON/ },
  {
    name: "an instance's role that a profile wants, out of reach",
    at: () => ({ ...instanceAt(nobody), config: `[default]\n${role}credential_source = Ec2InstanceMetadata\n` }),
    passes: true,
    says: /ECONNREFUSED/
  },
  { name: "a container's role that answers 503", at: containerAt, answer: { status: 503 }, passes: true, says: /container's role .*503/ },
  { name: "a container's role out of reach", at: () => containerAt(nobody), passes: true, says: /container's role .*ECONNREFUSED/ },
  { name: "a container without a role", at: containerAt, answer: { status: 404 }, passes: false, says: /container's role .*404/ },
  { name: "a container's role at an address that is none", at: () => containerAt("http://10.0.0.1"), passes: false, says: /not accepted/ },
  { name: "STS that answers 503", at: (url) => ({ config: assuming, env: { AWS_ENDPOINT_URL_STS: url } }), answer: { status: 503 }, passes: true, says: /profile default: / },
  { name: "STS out of reach", at: () => ({ config: assuming, env: { AWS_ENDPOINT_URL_STS: nobody } }), passes: true, says: /ECONNREFUSED/ },
  {
    name: "STS that says no",
    at: (url) => ({ config: assuming, env: { AWS_ENDPOINT_URL_STS: url } }),
    answer: { status: 403, body: denied },
    passes: false,
    says: /not you/
  },
  {
    name: "STS out of reach, with a web identity token",
    at: (_, own) => {
      writeFileSync(`${own}/token`, "token")
      return { env: { AWS_WEB_IDENTITY_TOKEN_FILE: `${own}/token`, AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/r", AWS_ENDPOINT_URL_STS: nobody } }
    },
    passes: true,
    says: /web identity token .*ECONNREFUSED/
  },
  {
    name: "a web identity token that is nowhere",
    at: (_, own) => ({ env: { AWS_WEB_IDENTITY_TOKEN_FILE: `${own}/token`, AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/r" } }),
    passes: false,
    says: /ENOENT/
  },
  { name: "SSO that answers 503", at: (url) => ({ config: sso, env: { AWS_ENDPOINT_URL_SSO: url } }), answer: { status: 503 }, passes: true, says: /profile default: / },
  { name: "SSO out of reach", at: () => ({ config: sso, env: { AWS_ENDPOINT_URL_SSO: nobody } }), passes: true, says: /ECONNREFUSED/ },
  {
    name: "SSO that wants a login",
    at: (url) => ({ config: sso, env: { AWS_ENDPOINT_URL_SSO: url } }),
    answer: { status: 401, body: `{"message":"Session token not found or invalid"}`, type: "UnauthorizedException" },
    passes: false,
    says: /Session token not found/
  },
  { name: "SSO that was never logged in", at: () => ({ config: sso.replaceAll("work", "never") }), passes: false, says: /profile default: / }
]

describe("the default chain", () => {
  for (const { answer = { status: 500 }, at, name, passes, says } of rows) {
    it.live(`${name}: ${passes ? "may pass" : "stays"}`, () =>
      Effect.gen(function*() {
        const { url } = yield* serving(answer)
        const own = yield* folder
        mkdirSync(join(own, ".aws/sso/cache"), { recursive: true })
        writeFileSync(
          join(own, ".aws/sso/cache", `${createHash("sha1").update("work").digest("hex")}.json`),
          JSON.stringify({ accessToken: "token-of-sso", expiresAt: "2099-01-01T00:00:00Z" })
        )
        const environment = at(url, own)
        const saved = globalThis.process.env["HOME"]
        globalThis.process.env["HOME"] = own
        const found = yield* failure.pipe(
          withEnvironment(environment),
          Effect.ensuring(Effect.sync(() => void (globalThis.process.env["HOME"] = saved)))
        )
        assert.match(found.words, says)
        assert.deepStrictEqual([found.passes, found.isRetryable], [passes, passes], found.words)
      }))
  }

  it.live("nothing set up, and nobody who answers for an instance: stays, and is known within 6 s", () =>
    Effect.gen(function*() {
      // takes a request, and says nothing, as the network does of a laptop
      const { url } = yield* serving({ status: 0 })
      const [took, { passes, words }] = yield* Effect.timed(withEnvironment(instanceAt(url))(failure))
      assert.match(words, /instance's role: .*TimeoutError/)
      assert.isFalse(passes)
      assert.isBelow(Duration.toMillis(took), 6000)
    }))

  it.live("an instance's role that gave keys before, and is out of reach for a moment: may pass", () =>
    Effect.gen(function*() {
      const keys = { AccessKeyId: "ASIAINSTANCE", SecretAccessKey: "secret-of-role", Token: "token-of-role", Expiration: "2099-01-01T00:00:00Z" }
      const { server, url } = yield* serving((path) => ({ status: 200, body: path.endsWith("/r") ? JSON.stringify(keys) : path.endsWith("/token") ? "t" : "r" }))
      yield* Effect.gen(function*() {
        const { renew, take } = yield* asked
        const held = yield* take
        assert.strictEqual(held.identity.accessKeyId, "ASIAINSTANCE")
        yield* Effect.promise(() => new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        }))
        const error = yield* Effect.flip(renew(held))
        assert.match(error.message, /instance's role: .*ECONNREFUSED/)
        assert.isTrue(error.isRetryable)
      }).pipe(withEnvironment(instanceAt(url)))
    }))
})

describe("a provider of the caller's own", () => {
  const ofSdk = (words: string) => new CredentialsProviderError(words)
  const table: ReadonlyArray<readonly [thrown: unknown, passes: boolean]> = [
    [new Error("the vault is away"), true],
    [new Error("Could not load credentials from any providers"), true],
    [undefined, true],
    [ofSdk("the vault is away"), true],
    [ofSdk("Command failed: vault\nsealed"), true],
    [ofSdk("Command failed: vault\n/bin/sh: 1: vault: not found"), false],
    [ofSdk("Could not load credentials from any providers"), false],
    [ofSdk("Could not resolve credentials using profile: [nope] in configuration/credentials file(s)."), false],
    [ofSdk("Unable to find environment variable credentials."), false],
    [ofSdk("Profile dev credential_process returned invalid JSON."), false],
    [ofSdk("Profile dev credential_process returned expired credentials."), true],
    [ofSdk("The SSO session associated with this profile has expired. To refresh this SSO session run aws sso login"), false]
  ]
  for (const [thrown, passes] of table) {
    it(`that throws ${String(thrown).split("\n").at(-1)}: ${passes ? "may pass" : "stays"}`, () => assert.strictEqual(thrownMayPass(thrown), passes))
  }
})
