// A quickstart as the vendor's client does it: an application, its key, what a policy lets it do, and the end of it.
// Whatever is not as expected ends this program with an error.
import assert from "node:assert/strict";
import { createClient } from "@scaleway/sdk-client";
import { Iamv1alpha1 } from "@scaleway/sdk-iam";

const { url, accessKey, secretKey, organizationId, projectId } = JSON.parse(process.env.CONCORD_FLOW);

function open(keys) {
  const settings = { apiURL: url, defaultOrganizationId: organizationId, defaultProjectId: projectId };
  return new Iamv1alpha1.API(createClient({ ...settings, ...keys }));
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error.status;
  }
  throw new Error("was not refused");
}

const owner = open({ accessKey, secretKey });
const application = await owner.createApplication({ name: "robot", description: "made by a quickstart" });
assert.equal(application.organizationId, organizationId);
const key = await owner.createAPIKey({ applicationId: application.id, description: "" });
const robot = open({ accessKey: key.accessKey, secretKey: key.secretKey });
assert.equal(await refused(() => robot.listApplications()), 403);

const policy = await owner.createPolicy({
  name: "readers",
  description: "",
  applicationId: application.id,
  rules: [{ permissionSetNames: ["IAMReadOnly"], organizationId, condition: "" }],
});
const seen = await robot.listApplications().all();
assert.deepEqual(seen.map((each) => each.id), [application.id]);
assert.ok(seen[0].createdAt instanceof Date);
assert.equal(await refused(() => robot.deleteApplication({ applicationId: application.id })), 403);

const group = await owner.createGroup({ name: "robots", description: "" });
const filled = await owner.addGroupMember({ groupId: group.id, applicationId: application.id });
assert.deepEqual(filled.applicationIds, [application.id]);
const changed = await owner.updateApplication({ applicationId: application.id, tags: ["quick"] });
assert.deepEqual(changed.tags, ["quick"]);
assert.equal(await refused(() => owner.createApplication({ name: "bad/name", description: "" })), 400);

await owner.deletePolicy({ policyId: policy.id });
assert.equal(await refused(() => robot.listApplications()), 403);
await owner.deleteApplication({ applicationId: application.id });
assert.equal(await refused(() => robot.listApplications()), 401);
assert.equal(await refused(() => owner.getApplication({ applicationId: application.id })), 404);
console.log(JSON.stringify({ application: application.id, refused: true }));
