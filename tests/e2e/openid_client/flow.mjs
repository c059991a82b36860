// The code flow as openid-client goes through it: discovery, PKCE, the answer's issuer, the id token, user info,
// refresh, introspection of nothing it may not, revocation. Whatever it objects to ends this program with an error.
import * as client from "openid-client";

const { issuer, clientId, clientSecret, login, callback } = JSON.parse(process.env.CONCORD_FLOW);
const insecure = { execute: [client.allowInsecureRequests] };

async function letIn(url) {
  const headers = { authorization: `Bearer ${login}` };
  let answer = await fetch(url, { headers, redirect: "manual" });
  if (answer.status === 403) {
    const { consent_proof } = await answer.json();
    const form = new URLSearchParams(url.searchParams);
    form.set("consent", "granted");
    form.set("consent_proof", consent_proof);
    const place = new URL(url.pathname, url);
    answer = await fetch(place, { method: "POST", headers, body: form, redirect: "manual" });
  }
  if (answer.status !== 303) throw new Error(`not let in: ${answer.status} ${await answer.text()}`);
  return new URL(answer.headers.get("location"));
}

const config = await client.discovery(
  new URL(issuer), clientId, undefined, client.ClientSecretBasic(clientSecret), insecure,
);
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: callback,
  scope: "openid offline_access",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
});
const place = await letIn(url);
const tokens = await client.authorizationCodeGrant(config, place, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
});
const subject = tokens.claims().sub;
await client.fetchUserInfo(config, tokens.access_token, subject);
const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
if (fresh.refresh_token === tokens.refresh_token) throw new Error("the refresh token was not rotated");
await client.tokenRevocation(config, fresh.refresh_token);
let refused = false;
try {
  await client.fetchUserInfo(config, fresh.access_token, subject);
} catch (error) {
  refused = error.status === 401 || error.cause?.status === 401 || /401|invalid_token|WWW/.test(String(error));
}
if (!refused) throw new Error("a revoked grant still opens user info");
console.log(JSON.stringify({ subject, scope: tokens.scope }));
