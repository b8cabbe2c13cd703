/** Where credentials come from, as the SDK marks them. Pure. */

/** A source of credentials. */
export interface Source {
  /** For people: `environment variables`. */
  readonly name: string
  /** Its keys stand there as they are: no others come from it until somebody writes them. */
  readonly isFixed?: true
  /** What its keys are called there, where they have names. */
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string }
}

/** The source of credentials by their marks, the innermost first; undefined where they have none. */
export const sourceOf = (identity: object): Source | undefined => {
  const marks: unknown = "$source" in identity ? identity.$source : undefined
  const marked = typeof marks === "object" && marks !== null ? new Set(Object.keys(marks)) : new Set<string>()
  return sources.find(([mark]) => marked.has(mark))?.[1]
}

const inEnvironment = { accessKeyId: "AWS_ACCESS_KEY_ID", secretAccessKey: "AWS_SECRET_ACCESS_KEY", sessionToken: "AWS_SESSION_TOKEN" }
const inProfile = { accessKeyId: "aws_access_key_id", secretAccessKey: "aws_secret_access_key", sessionToken: "aws_session_token" }
const inJson = { accessKeyId: "AccessKeyId", secretAccessKey: "SecretAccessKey", sessionToken: "SessionToken" }
const assumed: Source = { name: "a role assumed by a profile" }
const byProfile: Source = { name: "SSO by a profile" }
const sso: Source = { name: "SSO" }

const sources: ReadonlyArray<readonly [mark: string, source: Source]> = [
  ["CREDENTIALS_ENV_VARS", { name: "environment variables", isFixed: true, keys: inEnvironment }],
  ["CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN", { name: "a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)" }],
  ["CREDENTIALS_PROFILE_STS_WEB_ID_TOKEN", { name: "a web identity token of a profile" }],
  ["CREDENTIALS_PROFILE_SSO", byProfile],
  ["CREDENTIALS_PROFILE_SSO_LEGACY", byProfile],
  ["CREDENTIALS_PROFILE_PROCESS", { name: "the credential_process of a profile", keys: inJson }],
  ["CREDENTIALS_PROFILE_LOGIN", { name: "aws login by a profile" }],
  ["CREDENTIALS_PROFILE_SOURCE_PROFILE", assumed],
  ["CREDENTIALS_PROFILE_NAMED_PROVIDER", assumed],
  ["CREDENTIALS_PROFILE", { name: "a profile in the shared files", isFixed: true, keys: inProfile }],
  ["CREDENTIALS_SSO", sso],
  ["CREDENTIALS_SSO_LEGACY", sso],
  ["CREDENTIALS_PROCESS", { name: "a credential_process", keys: inJson }],
  ["CREDENTIALS_LOGIN", { name: "aws login" }],
  ["CREDENTIALS_HTTP", { name: "the container's role" }],
  ["CREDENTIALS_IMDS", { name: "the instance's role" }],
  ["CREDENTIALS_CODE", { name: "the program", isFixed: true, keys: { accessKeyId: "accessKeyId", secretAccessKey: "secretAccessKey", sessionToken: "sessionToken" } }]
]
