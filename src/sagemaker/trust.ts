/** The certificates that TLS trusts: the endpoint's by them alone, that of a proxy by them besides the usual roots. */
import { X509Certificate } from "node:crypto"
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as FluxError from "../FluxError.ts"
import * as textFile from "../internal/textFile.ts"
import * as AwsConfig from "./awsConfig.ts"

/** PEM, and where it comes from, for people. */
export interface Trust {
  readonly ca: string
  readonly from: string
}

/** What is given in code. */
export interface Given {
  readonly ca?: string | undefined
  readonly caFile?: string | undefined
}

/** Node takes any text for a list of certificates, and then trusts nobody. */
const isCertificate = (pem: string): boolean => Option.isSome(parseCertificate(pem))
const parseCertificate = Option.liftThrowable((pem: string) => new X509Certificate(pem))

type Answer = Result.Result<Trust | undefined, ReadonlyArray<FluxError.SettingsIssue>>

const fail = (setting: string, problem: string): Answer => Result.fail([{ setting, problem }])

const ofText = (ca: string, setting: string, name: string, from: string): Answer =>
  isCertificate(ca) ? Result.succeed({ ca, from }) : fail(setting, `${name} holds no certificate in PEM form`)

const ofFile = (path: string, setting: string): Effect.Effect<Answer> =>
  Effect.tryPromise(() => readFile(path)).pipe(
    Effect.map((bytes) =>
      Result.match(textFile.decodePem(bytes), {
        onSuccess: (text) => ofText(text, setting, path, `${path} (${setting})`),
        onFailure: (is) => fail(setting, `${path} holds no certificate in PEM form: it ${is}`)
      })),
    Effect.orElseSucceed(() => fail(setting, `${path} cannot be read`))
  )

/**
 * Whom to trust: what is given, else `AWS_CA_BUNDLE`, else `ca_bundle` of the profile; undefined: the usual roots. The
 * environment is not asked where there is no TLS, neither to the endpoint nor to a proxy.
 */
export const trust = ({ ca, caFile }: Given, hasTls: boolean): Effect.Effect<Answer> => {
  if (caFile !== undefined) {
    const both = ca === undefined ? [] : [{ setting: "ca", problem: "give either ca or caFile" }]
    return Effect.map(ofFile(caFile, "caFile"), (answer) =>
      both.length === 0 ? answer : Result.fail([...both, ...(Result.isFailure(answer) ? answer.failure : [])]))
  }
  if (ca !== undefined) return Effect.succeed(ofText(ca, "ca", "it", "ca"))
  if (!hasTls) return Effect.succeed(Result.succeed(undefined))
  return Effect.flatMap(AwsConfig.caBundle, (bundle): Effect.Effect<Answer> => {
    if (Result.isFailure(bundle)) return Effect.succeed(Result.fail([bundle.failure]))
    return bundle.success === undefined
      ? Effect.succeed(Result.succeed(undefined))
      : ofFile(bundle.success.value, bundle.success.source)
  })
}
