/** Why there are no AWS credentials: what `flux-stt doctor` and the error of a call say of each provider that fails. */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { createHash } from "node:crypto"
import { chmodSync, mkdirSync } from "node:fs"
import * as http from "node:http"
import * as Effect from "effect/Effect"
import { credentials as check } from "../../src/cli/credentials.ts"
import type { Finding } from "../../src/cli/Finding.ts"
import * as sageMaker from "../../src/sagemaker/endpoint.ts"
import { file, firstTurn, path, run } from "../support/command.ts"

/** Nothing of it leaves the machine: no instance answers there, and no endpoint either. */
const nobody = "http://127.0.0.1:1"
const endpoint = ["--endpoint-name", "any", "--region", "us-east-1", "--endpoint-url", nobody]

/** A service of roles that answers as it is told, by path. */
const service = async (status: number, body: string | ((path: string) => string)) => {
  const server = http.createServer((request, response) => {
    response.statusCode = status
    response.end(typeof body === "string" ? body : body(request.url ?? ""))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve()))
  }
}

let made = 0
/** A home of its own, with shared files. */
const home = (config = "", credentials = "") => {
  const folder = path(`home-${made++}`)
  mkdirSync(`${folder}/.aws`, { recursive: true })
  const name = folder.slice(path("").length)
  if (config !== "") file(`${name}/.aws/config`, config)
  if (credentials !== "") file(`${name}/.aws/credentials`, credentials)
  return { folder, config: `${folder}/.aws/config`, credentials: `${folder}/.aws/credentials`, name }
}
type Home = ReturnType<typeof home>

const envOf = ({ folder }: Home, env: Record<string, string>): Record<string, string> => ({
  HOME: folder,
  PATH: process.env["PATH"] ?? "",
  AWS_EC2_METADATA_DISABLED: "false",
  AWS_EC2_METADATA_SERVICE_ENDPOINT: nobody,
  ...env
})

/** What the doctor's check finds, in this process, whose environment the SDK reads. */
const checked = async (at: Home, env: Record<string, string>): Promise<Finding> => {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries(envOf(at, env))) vi.stubEnv(name, value)
  return Effect.runPromise(Effect.gen(function*() {
    const { credentials } = yield* sageMaker.examine({ endpointName: "any", region: "us-east-1", endpointUrl: nobody })
    return yield* check(credentials, { name: "any", region: "us-east-1" })
  }))
}
afterEach(() => void vi.unstubAllEnvs())

/** What the doctor finds of credentials, as a process. */
const examined = async (at: Home, env: Record<string, string>) => {
  const { status, stderr, stdout } = await run(["doctor", "--json", ...endpoint], { env: envOf(at, env) })
  const findings: ReadonlyArray<Finding> = stdout.trim().split("\n").map((line) => JSON.parse(line))
  return { status, stderr, stdout, finding: findings.find(({ check }) => check === "credentials") }
}

const role = "arn:aws:iam::123456789012:role/caller"
const past = "2020-01-01T00:00:00Z"

/** A program as a credential_process. */
const program = (name: string, text: string): string => {
  const at = file(name, `#!/bin/sh\n${text}\n`)
  chmodSync(at, 0o755)
  return at
}
/** One that prints a text. */
const printing = (name: string, text: string): string => program(name, `cat <<'END'\n${text}\nEND`)

interface Row {
  readonly name: string
  readonly config?: (at: Home) => string
  readonly credentials?: string
  /** The token that SSO has kept for the session `work`. */
  readonly sso?: object
  readonly env?: (at: Home) => Record<string, string>
  /** What doctor finds, and a call's error has as well; `CONFIG` and `CREDENTIALS` are the files. */
  readonly says: ReadonlyArray<string>
  readonly todo: RegExp
  readonly never?: ReadonlyArray<string>
}

const instance = "the instance's role: Unable to connect to instance metadata service (ECONNREFUSED)"
const nowhere = "is in neither CONFIG nor CREDENTIALS"
const profile = (name: string) => () => ({ AWS_PROFILE: name })

const rows: ReadonlyArray<Row> = [
  {
    name: "nothing set up at all, on a machine that is no instance",
    says: ["environment variables: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", `profile default: ${nowhere}`, instance],
    todo: /^Give credentials by AWS_ACCESS_KEY_ID/
  },
  {
    name: "the instance's role switched off",
    env: () => ({ AWS_EC2_METADATA_DISABLED: "true" }),
    says: [`profile default: ${nowhere}`, "the instance's role: EC2 Instance Metadata Service access disabled"],
    todo: /^Give credentials by/
  },
  {
    name: "half of the keys in the environment",
    env: () => ({ AWS_ACCESS_KEY_ID: "AKIDHALF" }),
    says: ["environment variables: AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not", instance],
    todo: /^Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/,
    never: ["AKIDHALF"]
  },
  {
    name: "a profile that is nowhere, among others",
    config: () => "[profile dev]\nregion = us-east-1\n[sso-session s]\nsso_region = us-east-1\n",
    credentials: "[old]\naws_access_key_id = AKIDOLD\naws_secret_access_key = secret-of-old\n",
    env: profile("nope"),
    says: [`profile nope (AWS_PROFILE): ${nowhere}; there are dev, old`, instance],
    todo: /^Correct AWS_PROFILE, which is nope, or add that profile: aws configure --profile nope/,
    never: ["AKIDOLD", "secret-of-old", "environment variables"]
  },
  {
    name: "a profile's name with a line end of Windows",
    config: () => "[profile dev]\nregion = us-east-1\n",
    env: profile("dev\r"),
    says: [`profile "dev\\r" (AWS_PROFILE): ${nowhere}: its name has blanks or a line end around it`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "files at other places",
    env: ({ folder }) => ({ AWS_PROFILE: "nope", AWS_CONFIG_FILE: `${folder}/my-config`, AWS_SHARED_CREDENTIALS_FILE: `${folder}/my-credentials` }),
    says: ["is in neither HOME/my-config nor HOME/my-credentials"],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "files that are UTF-16, as PowerShell writes them",
    config: () => Buffer.from("\uFEFF[profile dev]\r\nregion = us-east-1\r\n", "utf16le").toString("latin1"),
    env: profile("dev"),
    says: [`${nowhere}; CONFIG is UTF-16, which the SDK cannot read: save it as UTF-8`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a file that is UTF-16 without a mark",
    config: () => Buffer.from("[profile dev]\r\nregion = us-east-1\r\n", "utf16le").toString("latin1"),
    env: profile("dev"),
    says: [`${nowhere}; CONFIG is UTF-16 without a byte order mark: save it as UTF-8 text`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a file that is UTF-32",
    config: () => `\xff\xfe\0\0${[..."[profile dev]\n"].map((letter) => `${letter}\0\0\0`).join("")}`,
    env: profile("dev"),
    says: [`${nowhere}; CONFIG is UTF-32: save it as UTF-8 text`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a file that is compressed",
    config: () => "\x1f\x8b\x08\0\0\0\0\0",
    env: profile("dev"),
    says: [`${nowhere}; CONFIG is compressed (gzip): save it as UTF-8 text`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a profile's name of blanks alone, which the SDK looks for",
    config: () => "[default]\nregion = us-east-1\n",
    env: profile(" "),
    says: [`profile " " (AWS_PROFILE): ${nowhere}: its name has blanks or a line end around it`],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a section that lacks the word profile",
    config: () => "[dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = secret-of-dev\n",
    env: profile("dev"),
    says: [`${nowhere}; CONFIG has [dev], which must be [profile dev]`],
    todo: /^Correct AWS_PROFILE/,
    never: ["AKIDDEV", "secret-of-dev"]
  },
  {
    name: "a section that has the word profile where it must not",
    credentials: "[profile dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = secret-of-dev\n",
    env: profile("dev"),
    says: ["CREDENTIALS has [profile dev], which must be [dev]"],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a config file that is a directory",
    env: ({ folder }) => ({ AWS_PROFILE: "dev", AWS_CONFIG_FILE: folder }),
    says: ["cannot be read (EISDIR)"],
    todo: /^Correct AWS_PROFILE/
  },
  {
    name: "a profile with nothing that gives credentials",
    config: () => "[profile dev]\nregion = us-east-1\n",
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): has no credentials", instance],
    todo: /^Correct profile dev in CONFIG/
  },
  {
    name: "a profile with half of its keys",
    credentials: "[dev]\naws_access_key_id = AKIDHALF\n",
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): has aws_access_key_id and no aws_secret_access_key"],
    todo: /^Correct profile dev/,
    never: ["AKIDHALF"]
  },
  {
    name: "a credential_process that fails with words",
    config: () => `[profile dev]\ncredential_process = sh -c 'echo "{\\"SecretAccessKey\\":\\"printed-secret\\"}"; echo the vault is sealed >&2; echo more >&2; exit 3' --password hunter2-hunter2\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): its credential_process failed: the vault is sealed;", instance],
    todo: /^Run the credential_process of profile dev by itself/,
    never: ["printed-secret", "hunter2", "more"]
  },
  {
    name: "a credential_process whose words hold secrets, and go on for long",
    config: () =>
      `[profile dev]\ncredential_process = ${program("blabs", `echo "no luck with $AWS_TEST_TOKEN, wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY, token=abcdefgh1 and secret-of-old ${"x ".repeat(500)}" >&2; exit 1`)}\n`,
    credentials: "[old]\naws_access_key_id = AKIDOLD\naws_secret_access_key = secret-of-old\n",
    env: () => ({ AWS_PROFILE: "dev", AWS_TEST_TOKEN: "value-of-the-environment" }),
    says: ["its credential_process failed: no luck with ..., ..., token=... and ... x x"],
    todo: /^Run the credential_process/,
    never: ["value-of-the-environment", "wJalr", "EXAMPLEKEY", "abcdefgh1", "secret-of-old", "x ".repeat(200)]
  },
  {
    name: "a credential_process that fails in Python",
    config: () => `[profile dev]\ncredential_process = ${program("python", `printf 'Traceback (most recent call last):\\n  File "x.py"\\nValueError: no such vault\\n' >&2; exit 1`)}\n`,
    env: profile("dev"),
    says: ["its credential_process failed: ValueError: no such vault"],
    todo: /^Run the credential_process/
  },
  {
    name: "a credential_process that fails without a word",
    config: () => "[profile dev]\ncredential_process = exit 3\n",
    env: profile("dev"),
    says: ["its credential_process failed, and said nothing on stderr"],
    todo: /^Run the credential_process/
  },
  {
    name: "a credential_process that cannot be started",
    config: () => "[default]\ncredential_process = /nowhere/program --token t0ken-t0ken\n",
    says: ["profile default: its credential_process failed: ", "/nowhere/program: not found"],
    todo: /^Run the credential_process of profile default/,
    never: ["t0ken"]
  },
  {
    name: "a credential_process that prints what is JSON and no object",
    config: () => `[profile dev]\ncredential_process = ${printing("null", "null")}\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): its credential_process gave no credentials: "],
    todo: /credential_process of profile dev by itself/
  },
  {
    name: "a credential_process that prints no JSON",
    config: () => `[profile dev]\ncredential_process = ${printing("rubbish", "AKIDRUBBISH printed-secret")}\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): its credential_process returned invalid JSON"],
    todo: /^Run the credential_process/,
    never: ["AKIDRUBBISH", "printed-secret"]
  },
  {
    name: "a credential_process of another version",
    config: () => `[profile dev]\ncredential_process = ${printing("version", `{"Version":2,"AccessKeyId":"AKIDTWO","SecretAccessKey":"printed-secret"}`)}\n`,
    env: profile("dev"),
    says: ["its credential_process did not return Version 1"],
    todo: /^Run the credential_process/,
    never: ["AKIDTWO", "printed-secret"]
  },
  {
    name: "a credential_process without keys",
    config: () => `[profile dev]\ncredential_process = ${printing("keyless", `{"Version":1,"AccessKeyId":"AKIDONE"}`)}\n`,
    env: profile("dev"),
    says: ["its credential_process returned invalid credentials"],
    todo: /^Run the credential_process/,
    never: ["AKIDONE"]
  },
  {
    name: "a credential_process with expired keys",
    config: () => `[profile dev]\ncredential_process = ${printing("stale", `{"Version":1,"AccessKeyId":"AKIDONE","SecretAccessKey":"printed-secret","Expiration":"${past}"}`)}\n`,
    env: profile("dev"),
    says: ["its credential_process returned expired credentials"],
    todo: /^Run the credential_process/,
    never: ["AKIDONE", "printed-secret"]
  },
  {
    name: "a credential_process with a key that has a newline in it",
    config: () => `[profile dev]\ncredential_process = ${printing("newline", `{"Version":1,"AccessKeyId":"AKIDONE","SecretAccessKey":"printed-secret\\n"}`)}\n`,
    env: profile("dev"),
    says: ["the secret access key ends in a newline (SecretAccessKey, from the credential_process of a profile)"],
    todo: /^Set SecretAccessKey to the key alone/,
    never: ["AKIDONE", "printed-secret"]
  },
  {
    name: "a credential_process of a source_profile",
    config: () => `[profile dev]\nrole_arn = ${role}\nsource_profile = base\n[profile base]\ncredential_process = sh -c 'echo base is away >&2; exit 1'\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): its credential_process failed: base is away"],
    todo: /^Run the credential_process/
  },
  {
    name: "SSO without a session",
    config: () => `[profile dev]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session work]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): The SSO session token associated with profile=dev was not found or is invalid"],
    todo: /^Log in again: aws sso login --profile dev/
  },
  {
    name: "SSO with a session that has expired",
    config: () => `[profile dev]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session work]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n`,
    env: profile("dev"),
    sso: { accessToken: "expired-token-of-sso", expiresAt: past },
    says: ["profile dev (AWS_PROFILE): "],
    todo: /^Log in again: aws sso login --profile dev/,
    never: ["expired-token-of-sso", "instance"]
  },
  {
    name: "SSO of the older form without a session",
    config: () => `[default]\nsso_start_url = https://sso.invalid\nsso_account_id = 123456789012\nsso_role_name = r\nsso_region = us-east-1\n`,
    says: ["profile default: The SSO session associated with this profile is invalid"],
    todo: /^Log in again: aws sso login --profile default/
  },
  {
    name: "SSO that lacks a setting",
    config: () => `[profile dev]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n`,
    env: profile("dev"),
    says: [`profile dev (AWS_PROFILE): Profile is configured with invalid SSO credentials. Required parameters "sso_account_id"`],
    todo: /^Correct profile dev/
  },
  {
    name: "SSO with a session's name that is nowhere",
    config: () => `[profile dev]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): has sso_session work, and CONFIG has no [sso-session work]"],
    todo: /^Correct profile dev/,
    never: ["undefined"]
  },
  {
    name: "aws login without a session",
    config: () => `[profile dev]\nlogin_session = arn:aws:sts::123456789012:assumed-role/r/me\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): Failed to load token from HOME/.aws/login/cache/"],
    todo: /^Log in again: aws login --profile dev/
  },
  {
    name: "a source_profile that is nowhere",
    config: () => `[profile dev]\nrole_arn = ${role}\nsource_profile = base\n`,
    env: profile("dev"),
    says: [`profile dev (AWS_PROFILE): has source_profile base, which ${nowhere}`],
    todo: /^Correct profile dev/
  },
  {
    name: "a source_profile that has nothing",
    config: () => `[profile dev]\nrole_arn = ${role}\nsource_profile = base\n[profile base]\nregion = us-east-1\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): its source_profile base has no credentials"],
    todo: /^Correct profile dev/
  },
  {
    name: "source_profiles in a circle",
    config: () => `[profile a]\nrole_arn = ${role}\nsource_profile = b\n[profile b]\nrole_arn = ${role}\nsource_profile = a\n`,
    env: profile("a"),
    says: ["profile a (AWS_PROFILE): its source_profile leads in a circle: a -> b -> a;"],
    todo: /^Correct profile a/
  },
  {
    name: "a role without a source",
    config: () => `[profile dev]\nrole_arn = ${role}\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): has role_arn, and neither source_profile nor credential_source to assume it with"],
    todo: /^Correct profile dev/
  },
  {
    name: "a role with two sources",
    config: () => `[profile dev]\nrole_arn = ${role}\nsource_profile = base\ncredential_source = Environment\n[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = secret-of-base\n`,
    env: profile("dev"),
    says: ["has both source_profile and credential_source"],
    todo: /^Correct profile dev/,
    never: ["AKIDBASE"]
  },
  {
    name: "a role whose credential_source is none",
    config: () => `[profile dev]\nrole_arn = ${role}\ncredential_source = Nowhere\n`,
    env: profile("dev"),
    says: ["Unsupported credential source in profile dev. Got Nowhere, expected EcsContainer"],
    todo: /^See what profile dev in CONFIG/
  },
  {
    name: "a role of an empty environment",
    config: () => `[profile dev]\nrole_arn = ${role}\ncredential_source = Environment\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): Unable to find environment variable credentials"],
    todo: /^See what profile dev/
  },
  {
    name: "a role that needs a code",
    config: () => `[profile dev]\nrole_arn = ${role}\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = secret-of-base\n`,
    env: profile("dev"),
    says: ["Profile dev requires multi-factor authentication"],
    todo: /^See what profile dev/,
    never: ["AKIDBASE", "secret-of-base"]
  },
  {
    name: "a web identity token that is not there",
    env: ({ folder }) => ({ AWS_WEB_IDENTITY_TOKEN_FILE: `${folder}/token`, AWS_ROLE_ARN: role }),
    says: ["web identity token (AWS_WEB_IDENTITY_TOKEN_FILE): ENOENT: no such file or directory, open 'HOME/token'"],
    todo: /^See that AWS_WEB_IDENTITY_TOKEN_FILE can be read/
  },
  {
    name: "a web identity token that is a directory",
    env: ({ folder }) => ({ AWS_WEB_IDENTITY_TOKEN_FILE: folder, AWS_ROLE_ARN: role }),
    says: ["web identity token (AWS_WEB_IDENTITY_TOKEN_FILE): EISDIR"],
    todo: /^See that AWS_WEB_IDENTITY_TOKEN_FILE/
  },
  {
    name: "a web identity token without its role",
    env: ({ folder }) => ({ AWS_WEB_IDENTITY_TOKEN_FILE: `${folder}/token` }),
    says: ["web identity token (AWS_WEB_IDENTITY_TOKEN_FILE): AWS_ROLE_ARN is not set", instance],
    todo: /^See that AWS_WEB_IDENTITY_TOKEN_FILE/
  },
  {
    name: "a profile's web identity token that is not there",
    config: ({ folder }) => `[profile dev]\nrole_arn = ${role}\nweb_identity_token_file = ${folder}/token\n`,
    env: profile("dev"),
    says: ["profile dev (AWS_PROFILE): ENOENT: no such file or directory, open 'HOME/token'"],
    todo: /^See what profile dev/
  }
]

/** As it stands in a test, for one home. */
const at = (text: string, { config, credentials, folder }: Home): string =>
  text.replaceAll("CONFIG", config).replaceAll("CREDENTIALS", credentials).replaceAll("HOME/", `${folder}/`)
const shortened = (text: string, { config }: Home): string => text.replaceAll(config, "CONFIG")

describe("credentials that cannot be had", () => {
  for (const { config, credentials, env, name, never = [], says, sso, todo } of rows) {
    it(`${name}: who failed is told, and with what words`, async () => {
      const own = home()
      if (config !== undefined) file(`${own.name}/.aws/config`, Buffer.from(config(own), "latin1"))
      if (credentials !== undefined) file(`${own.name}/.aws/credentials`, credentials)
      if (sso !== undefined) {
        mkdirSync(`${own.folder}/.aws/sso/cache`, { recursive: true })
        file(`${own.name}/.aws/sso/cache/${createHash("sha1").update("work").digest("hex")}.json`, JSON.stringify(sso))
      }
      const finding = await checked(own, env?.(own) ?? {})
      assert.strictEqual(finding.state, "failed")
      assert.match(finding.found, /^CredentialsUnavailable: No usable AWS credentials: /)
      for (const part of says) assert.include(finding.found, at(part, own))
      assert.match(shortened(finding.todo ?? "", own), todo)
      for (const secret of never) assert.notInclude(JSON.stringify(finding), secret)
      assert.notMatch(finding.found, /Could not load credentials from any providers/)
    })
  }
})

describe("credentials of the instance, where a profile was wanted", () => {
  it("are told with what the profile lacks", async () => {
    const role = JSON.stringify({ AccessKeyId: "ASIAINSTANCE", SecretAccessKey: "secret-of-the-role", Token: "token-of-the-role", Expiration: "2099-01-01T00:00:00Z" })
    await using metadata = await service(200, (path) => path.endsWith("/r") ? role : path.endsWith("/token") ? "t" : "r")
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url }
    const own = home("[profile dev]\nregion = us-east-1\n")
    const wanted = await checked(own, { ...env, AWS_PROFILE: "dev" })
    assert.strictEqual(wanted.state, "warning")
    assert.match(wanted.found, /^from the instance's role; expire in \d+ h .*; profile dev \(AWS_PROFILE\) has no credentials/)
    assert.match(wanted.todo ?? "", /^Correct AWS_PROFILE/)
    const unasked = await checked(own, env)
    assert.strictEqual(unasked.state, "ok")
    assert.match(unasked.found, /^from the instance's role; expire in \d+ h/)
  })
})

describe.concurrent("credentials that cannot be had, as a process finds", { timeout: 60_000 }, () => {
  it("doctor has them as a finding, and fails", async () => {
    const own = home("[profile dev]\nregion = us-east-1\n")
    const { finding, status, stderr } = await examined(own, { AWS_PROFILE: "nope" })
    assert.strictEqual(status, 1)
    assert.include(finding?.found ?? "", `profile nope (AWS_PROFILE): is in neither ${own.config} nor ${own.credentials}`)
    assert.include(finding?.found ?? "", instance)
    assert.strictEqual(stderr, "flux-stt: 2 checks failed\n")
  })

  it("the error of a call tells the same", async () => {
    const audio = file("call.wav", firstTurn)
    const own = home("[profile dev]\ncredential_process = sh -c 'echo the vault is sealed >&2; exit 3' hunter2-hunter2\n")
    const { status, stderr } = await run(["transcribe", audio, ...endpoint], { env: envOf(own, { AWS_PROFILE: "dev" }) })
    assert.strictEqual(status, 1)
    assert.include(stderr, "profile dev (AWS_PROFILE): its credential_process failed: the vault is sealed; the instance's role: Unable to connect")
    assert.include(stderr, "Run the credential_process of profile dev by itself")
    assert.notInclude(stderr, "hunter2")
    const unknown = await run(["transcribe", audio, ...endpoint], { env: envOf(own, { AWS_PROFILE: "nope" }) })
    assert.include(unknown.stderr, `profile nope (AWS_PROFILE): is in neither ${own.config} nor ${own.credentials}`)
    assert.include(unknown.stderr, "Correct AWS_PROFILE, which is nope")
  })

  it("what the SDK warns of is still told", async () => {
    const own = home("", "[dev]\naws_access_key_id = AKIDOFDEV\naws_secret_access_key = secret-of-dev\n")
    const { finding, stderr } = await examined(own, { AWS_PROFILE: "dev", AWS_ACCESS_KEY_ID: "AKIDOFENV", AWS_SECRET_ACCESS_KEY: "secret-of-env" })
    assert.deepInclude(finding, { state: "ok", found: "from a profile in the shared files; do not expire" })
    assert.match(stderr, /Multiple credential sources detected/)
    assert.notMatch(stderr, /AKIDOF|secret-of/)
  })

  const container = "the container's role (AWS_CONTAINER_CREDENTIALS_*_URI): "

  it("the container's role that refuses, and that is out of reach", async () => {
    await using refusing = await service(403, `{"Code":"AccessDenied","Message":"no role for this task"}`)
    const refused = await examined(home(), { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${refusing.url}/role` })
    assert.include(refused.finding?.found ?? "", `${container}Server responded with status: 403`)
    assert.match(refused.finding?.todo ?? "", /^See that the task or pod has a role/)
    assert.notInclude(refused.finding?.found ?? "", "instance")
    const away = await examined(home(), { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${nobody}/role` })
    assert.match(away.finding?.found ?? "", /\(AWS_CONTAINER_CREDENTIALS_\*_URI\): .*ECONNREFUSED/)
    const foreign = await examined(home(), { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://10.0.0.1/role" })
    assert.include(foreign.finding?.found ?? "", `${container}URL not accepted`)
  })

  it("the instance's role that is none, and an answer that is no JSON", async () => {
    await using none = await service(404, "no role")
    const missing = await examined(home(), { AWS_EC2_METADATA_SERVICE_ENDPOINT: none.url })
    assert.include(missing.finding?.found ?? "", "the instance's role: Error response received from instance metadata service (404)")
    await using odd = await service(200, "secret-of-the-instance")
    const rubbish = await examined(home(), { AWS_EC2_METADATA_SERVICE_ENDPOINT: odd.url })
    assert.include(rubbish.finding?.found ?? "", "the instance's role: its answer is not JSON")
    assert.notInclude(rubbish.stdout, "secret-of")
  })

  it("a credential_process that says nothing is named, by doctor in time", async () => {
    // it ends with whoever has started it
    const own = home("[profile dev]\ncredential_process = cat\n")
    const { finding } = await examined(own, { AWS_PROFILE: "dev" })
    assert.include(finding?.found ?? "", "profile dev (its credential_process): nothing came within 10 s")
    assert.match(finding?.todo ?? "", /^Run the credential_process of profile dev/)
  })
})

describe("AWS keys with something added to them", () => {
  const key = "AKIDSOUND"
  const secret = "secret/of+the=doctor"
  const cases: ReadonlyArray<readonly [variable: string, value: string, says: string]> = [
    ["AWS_SECRET_ACCESS_KEY", `${secret}\n`, "the secret access key ends in a newline (AWS_SECRET_ACCESS_KEY, from environment variables)"],
    ["AWS_SECRET_ACCESS_KEY", `${secret}\r`, "the secret access key ends in a carriage return (CR, of Windows's line ends)"],
    ["AWS_SECRET_ACCESS_KEY", ` ${secret}`, "the secret access key begins with a blank"],
    ["AWS_SECRET_ACCESS_KEY", `"${secret}"`, "the secret access key has quotes around it (\")"],
    ["AWS_ACCESS_KEY_ID", `${key} `, "the access key id ends in a blank (AWS_ACCESS_KEY_ID, from environment variables)"],
    ["AWS_ACCESS_KEY_ID", `'${key}'`, "the access key id has quotes around it (')"],
    ["AWS_SESSION_TOKEN", `to ken`, "the session token has a blank in it (AWS_SESSION_TOKEN, from environment variables)"],
    ["AWS_SESSION_TOKEN", `token\t`, "the session token ends in a tab"]
  ]
  for (const [variable, value, says] of cases) {
    it(`${variable}=${JSON.stringify(value.replace(secret, "...").replace(key, "..."))} is refused by name`, async () => {
      const env = { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret, [variable]: value }
      const finding = await checked(home(), env)
      assert.strictEqual(finding.state, "failed")
      assert.include(finding.found, `CredentialsUnavailable: No usable AWS credentials: ${says}`)
      assert.strictEqual(finding.todo, `Set ${variable} to the key alone: no blanks, line ends or quotes around it.`)
      for (const hidden of [key, secret]) assert.notInclude(JSON.stringify(finding), hidden)
    })
  }

  it("quotes in a shared file, in doctor and in a call", async () => {
    const own = home("", `[default]\naws_access_key_id = AKIDSOUND\naws_secret_access_key = "${secret}"\n`)
    const finding = await checked(own, {})
    assert.include(finding.found, "the secret access key has quotes around it (\") (aws_secret_access_key, from a profile in the shared files)")
    const { status, stderr } = await run(["transcribe", file("quoted.wav", firstTurn), ...endpoint], { env: envOf(own, {}) })
    assert.strictEqual(status, 1)
    assert.include(stderr, "the secret access key has quotes around it")
    assert.notInclude(stderr, secret)
  })

  it("nothing of the sound ones is refused", async () => {
    const finding = await checked(home(), { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: "IQoJ//+=" })
    assert.strictEqual(finding.state, "ok")
  })
})
