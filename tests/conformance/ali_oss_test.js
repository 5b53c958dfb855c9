// The official OSS SDK against the embedded origin, with each signature version.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import OSS from 'ali-oss';
import {
  AWKWARD_KEYS, BUCKET, EXPIRED_STS, KEYS, NO_LIST, STS, bytes, loopbackAgent, startOrigin,
} from './origin.js';

let origin;
before(async () => { origin = await startOrigin(); });
after(async () => { assert.equal(await origin.stop(), 0); });

// Node's URL parser rewrites these before the SDK's request leaves, after it was signed.
const KEYS_ON_THE_WIRE = AWKWARD_KEYS.filter((key) => !key.split('/').some((part) => part === '.' || part === '..'));

for (const version of ['V1', 'V4']) {
  const connect = (keys = KEYS, more = {}) => new OSS({
    region: 'oss-cn-hangzhou',
    endpoint: origin.url,
    bucket: BUCKET,
    accessKeyId: keys.id,
    accessKeySecret: keys.secret,
    stsToken: keys.token,
    authorizationV4: version === 'V4',
    retryMax: 0,
    ...more,
  });
  const refused = (code, status) => (error) => {
    assert.equal(error.code, code);
    assert.equal(error.status, status);
    assert.match(error.requestId, /^[0-9A-F]{24}$/);
    return true;
  };

  describe(`ali-oss with signature ${version}`, () => {
    const prefix = `${version}/`;

    it('reads back what it put, with its headers and metadata', async () => {
      const client = connect();
      const body = bytes(100_000);
      await client.put(`${prefix}object`, body, {
        mime: 'text/plain', headers: { 'Cache-Control': 'no-cache' }, meta: { colour: 'blue', n: 7 },
      });
      const { content, res } = await client.get(`${prefix}object`);
      assert.deepEqual(content, body);
      assert.equal(res.headers['content-type'], 'text/plain');
      assert.equal(res.headers['cache-control'], 'no-cache');
      const head = await client.head(`${prefix}object`);
      assert.deepEqual(head.meta, { colour: 'blue', n: '7' });
      assert.equal(head.res.headers['content-length'], '100000');
      assert.equal(head.res.headers['x-oss-object-type'], 'Normal');
    });

    it('keeps awkward keys apart, and lists them all', async () => {
      const client = connect();
      for (const key of KEYS_ON_THE_WIRE) await client.put(`${prefix}k/${key}`, Buffer.from(key));
      for (const key of KEYS_ON_THE_WIRE) {
        const { content } = await client.get(`${prefix}k/${key}`);
        assert.equal(content.toString(), key);
      }
      const listed = await client.list({ prefix: `${prefix}k/`, 'max-keys': 1000 });
      const expected = KEYS_ON_THE_WIRE.map((key) => Buffer.from(`${prefix}k/${key}`))
        .sort(Buffer.compare).map(String);
      assert.deepEqual(listed.objects.map((object) => object.name), expected);
    });

    it('lists page by page, in both versions of the request', async () => {
      const client = connect();
      const names = [];
      for (let i = 0; i < 25; i += 1) names.push(`${prefix}p/${String(i).padStart(2, '0')}`);
      await Promise.all(names.map((name) => client.put(name, Buffer.from('x'))));
      await client.put(`${prefix}p/sub/one`, Buffer.from('x'));
      for (const call of ['list', 'listV2']) {
        const seen = [];
        const prefixes = [];
        let next = {};
        do {
          const page = await client[call]({ prefix: `${prefix}p/`, delimiter: '/', 'max-keys': 10, ...next });
          seen.push(...(page.objects ?? []).map((object) => object.name));
          prefixes.push(...(page.prefixes ?? []));
          next = page.isTruncated && (call === 'list' ? { marker: page.nextMarker }
            : { 'continuation-token': page.nextContinuationToken });
        } while (next);
        assert.deepEqual(seen, names);
        assert.deepEqual(prefixes, [`${prefix}p/sub/`]);
      }
    });

    it('follows the range rule of OSS', async () => {
      const client = connect();
      const body = bytes(1000);
      await client.put(`${prefix}range`, body);
      const get = (range, headers = {}) => client.get(`${prefix}range`, { headers: { Range: range, ...headers } });
      const inside = await get('bytes=100-199');
      assert.equal(inside.res.status, 206);
      assert.equal(inside.res.headers['content-range'], 'bytes 100-199/1000');
      assert.deepEqual(inside.content, body.subarray(100, 200));
      const past = await get('bytes=900-1999');
      assert.equal(past.res.status, 200);
      assert.deepEqual(past.content, body);
      const standard = await get('bytes=900-1999', { 'x-oss-range-behavior': 'standard' });
      assert.equal(standard.res.status, 206);
      assert.deepEqual(standard.content, body.subarray(900));
      await assert.rejects(get('bytes=1000-', { 'x-oss-range-behavior': 'standard' }), refused('InvalidRange', 416));
    });

    it('uploads in parts', async () => {
      const client = connect();
      const body = bytes(350_000, 7);
      const file = path.join(path.dirname(origin.root), 'upload');
      await writeFile(file, body);
      const done = await client.multipartUpload(`${prefix}parts`, file, { partSize: 102_400, parallel: 2, meta: { a: 'b' } });
      assert.match(done.etag, /^"[0-9A-F]{32}-4"$/);
      const { content, res } = await client.get(`${prefix}parts`);
      assert.deepEqual(content, body);
      assert.equal(res.headers['x-oss-object-type'], 'Multipart');
      const copied = await client.multipartUploadCopy(`${prefix}parts-copy`,
        { sourceKey: `${prefix}parts`, sourceBucketName: BUCKET }, { partSize: 102_400 });
      assert.equal(copied.res.status, 200);
      assert.deepEqual((await client.get(`${prefix}parts-copy`)).content, body);
    });

    it('lists and aborts uploads', async () => {
      const client = connect();
      const { uploadId } = await client.initMultipartUpload(`${prefix}aborted`);
      const { uploads } = await client.listUploads({ prefix: `${prefix}aborted`, 'max-uploads': 10 });
      assert.deepEqual(uploads.map((upload) => upload.uploadId), [uploadId]);
      await client.abortMultipartUpload(`${prefix}aborted`, uploadId);
      await assert.rejects(client.listParts(`${prefix}aborted`, uploadId, {}), refused('NoSuchUpload', 404));
    });

    it('copies, deletes one and deletes many', async () => {
      const client = connect();
      const body = bytes(5000, 3);
      await client.put(`${prefix}c/one`, body, { meta: { from: 'here' } });
      await client.copy(`${prefix}c/two`, `${prefix}c/one`);
      const two = await client.get(`${prefix}c/two`);
      assert.deepEqual(two.content, body);
      assert.equal(two.res.headers['x-oss-meta-from'], 'here');
      await client.delete(`${prefix}c/one`);
      await assert.rejects(client.get(`${prefix}c/one`), refused('NoSuchKey', 404));
      await client.put(`${prefix}c/ä b`, body);
      const { deleted } = await client.deleteMulti([`${prefix}c/two`, `${prefix}c/ä b`]);
      assert.deepEqual(deleted.map((each) => each.Key), [`${prefix}c/two`, `${prefix}c/ä b`]);
      const { objects } = await client.list({ prefix: `${prefix}c/`, 'max-keys': 10 });
      assert.deepEqual(objects ?? [], []);
    });

    it('counts the bucket, and tells about it', async () => {
      const client = connect();
      const { stat } = await client.getBucketStat(BUCKET);
      assert.ok(Number(stat.ObjectCount) > 0);
      assert.ok(Number(stat.Storage) > 0);
      assert.equal((await client.getBucketInfo(BUCKET)).bucket.Name, BUCKET);
      assert.equal((await client.getBucketLocation(BUCKET)).location, 'oss-cn-hangzhou');
    });

    it('does not read an Archive object', async () => {
      const client = connect();
      await client.put(`${prefix}archive`, Buffer.from('cold'), { headers: { 'x-oss-storage-class': 'Archive' } });
      assert.equal((await client.head(`${prefix}archive`)).res.headers['x-oss-storage-class'], 'Archive');
      await assert.rejects(client.get(`${prefix}archive`), refused('InvalidObjectState', 403));
    });

    it('takes temporary credentials until they expire', async () => {
      await connect(STS).put(`${prefix}sts`, Buffer.from('x'));
      await assert.rejects(connect(EXPIRED_STS).get(`${prefix}sts`), refused('SecurityTokenExpired', 403));
      await assert.rejects(connect({ ...STS, token: 'wrong' }).get(`${prefix}sts`), refused('InvalidSecurityToken', 403));
    });

    it('refuses wrong keys and missing rights', async () => {
      await assert.rejects(connect({ ...KEYS, secret: 'wrong' }).get('x'), refused('SignatureDoesNotMatch', 403));
      await assert.rejects(connect({ id: 'nobody', secret: 'x' }).get('x'), refused('InvalidAccessKeyId', 403));
      await assert.rejects(connect(NO_LIST).list({ 'max-keys': 1 }), refused('AccessDenied', 403));
      await assert.rejects(connect(KEYS, { bucket: 'absent' }).get('x'), refused('NoSuchBucket', 404));
    });

    it('works in virtual-host style', async () => {
      const client = connect(KEYS, { endpoint: `http://oss-cn-hangzhou.example:${origin.port}`, agent: loopbackAgent() });
      await client.put(`${prefix}virtual`, Buffer.from('host'));
      assert.equal((await client.get(`${prefix}virtual`)).content.toString(), 'host');
    });
  });
}
