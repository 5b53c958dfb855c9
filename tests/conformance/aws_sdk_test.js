// The official AWS SDK against the embedded origin.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Readable } from 'node:stream';
import * as s3 from '@aws-sdk/client-s3';
import {
  AWKWARD_KEYS, BUCKET, EXPIRED_STS, KEYS, NO_LIST, STS, bytes, loopbackAgent, startOrigin,
} from './origin.js';

let origin;
before(async () => { origin = await startOrigin(); });
after(async () => { assert.equal(await origin.stop(), 0); });

const connect = (keys = KEYS, more = {}) => new s3.S3Client({
  endpoint: origin.url,
  region: 'us-east-1',
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId: keys.id, secretAccessKey: keys.secret, sessionToken: keys.token },
  ...more,
});
const put = (client, Key, Body, more = {}) =>
  client.send(new s3.PutObjectCommand({ Bucket: BUCKET, Key, Body, ...more }));
const get = (client, Key, more = {}) =>
  client.send(new s3.GetObjectCommand({ Bucket: BUCKET, Key, ...more }));
const content = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const refused = (name, status) => (error) => {
  assert.equal(error.name, name);
  assert.equal(error.$metadata.httpStatusCode, status);
  return true;
};

describe('@aws-sdk/client-s3', () => {
  it('reads back what it put, with its headers and metadata', async () => {
    const client = connect();
    const body = bytes(100_000);
    const { ETag } = await put(client, 'object', body, { ContentType: 'text/plain', Metadata: { colour: 'blue' } });
    const answer = await get(client, 'object');
    assert.deepEqual(await content(answer), body);
    assert.equal(answer.ETag, ETag);
    assert.match(ETag, /^"[0-9a-f]{32}"$/);
    assert.equal(answer.ContentType, 'text/plain');
    assert.deepEqual(answer.Metadata, { colour: 'blue' });
  });

  it('takes a stream of unknown content, sent in signed pieces with a checksum', async () => {
    const client = connect();
    const body = bytes(300_000, 5);
    await put(client, 'stream', Readable.from([body.subarray(0, 1000), body.subarray(1000)]), { ContentLength: body.length });
    assert.deepEqual(await content(await get(client, 'stream')), body);
    const { ContentEncoding } = await get(client, 'stream');
    assert.equal(ContentEncoding, undefined);
  });

  it('refuses a body that is not the one announced', async () => {
    const client = connect();
    await assert.rejects(put(client, 'digest', 'abc', { ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' }), refused('BadDigest', 400));
    await assert.rejects(put(client, 'digest', 'abc', { ChecksumCRC32: 'AAAAAA==' }), refused('BadDigest', 400));
    await assert.rejects(get(client, 'digest'), refused('NoSuchKey', 404));
  });

  it('keeps awkward keys apart, and lists them all', async () => {
    const client = connect();
    for (const key of AWKWARD_KEYS) await put(client, `k/${key}`, key);
    for (const key of AWKWARD_KEYS) {
      assert.equal((await content(await get(client, `k/${key}`))).toString(), key);
    }
    const listed = await client.send(new s3.ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'k/' }));
    const expected = AWKWARD_KEYS.map((key) => Buffer.from(`k/${key}`)).sort(Buffer.compare).map(String);
    assert.deepEqual(listed.Contents.map((object) => object.Key), expected);
    assert.equal(listed.KeyCount, expected.length);
  });

  it('lists page by page, in both versions of the request', async () => {
    const client = connect();
    const names = [];
    for (let i = 0; i < 25; i += 1) names.push(`p/${String(i).padStart(2, '0')}`);
    await Promise.all(names.map((name) => put(client, name, 'x')));
    await put(client, 'p/sub/one', 'x');
    for (const version of [1, 2]) {
      const seen = [];
      const prefixes = [];
      let next = {};
      do {
        const Command = version === 1 ? s3.ListObjectsCommand : s3.ListObjectsV2Command;
        const page = await client.send(new Command({ Bucket: BUCKET, Prefix: 'p/', Delimiter: '/', MaxKeys: 10, ...next }));
        seen.push(...(page.Contents ?? []).map((object) => object.Key));
        prefixes.push(...(page.CommonPrefixes ?? []).map((each) => each.Prefix));
        next = page.IsTruncated && (version === 1 ? { Marker: page.NextMarker }
          : { ContinuationToken: page.NextContinuationToken });
      } while (next);
      assert.deepEqual(seen, names);
      assert.deepEqual(prefixes, ['p/sub/']);
    }
  });

  it('follows the range rule of HTTP, and the conditions', async () => {
    const client = connect();
    const body = bytes(1000);
    const { ETag } = await put(client, 'range', body);
    const inside = await get(client, 'range', { Range: 'bytes=100-199', IfMatch: ETag });
    assert.equal(inside.ContentRange, 'bytes 100-199/1000');
    assert.deepEqual(await content(inside), body.subarray(100, 200));
    assert.deepEqual(await content(await get(client, 'range', { Range: 'bytes=900-1999' })), body.subarray(900));
    assert.deepEqual(await content(await get(client, 'range', { Range: 'bytes=-10' })), body.subarray(990));
    await assert.rejects(get(client, 'range', { Range: 'bytes=1000-' }), refused('InvalidRange', 416));
    await assert.rejects(get(client, 'range', { IfMatch: '"other"' }), refused('PreconditionFailed', 412));
    await assert.rejects(put(client, 'range', 'x', { IfNoneMatch: '*' }), refused('PreconditionFailed', 412));
  });

  it('uploads and copies in parts', async () => {
    const client = connect();
    const Bucket = BUCKET;
    const Key = 'parts';
    const body = bytes(6 << 20, 9);
    const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key, Metadata: { a: 'b' } }));
    const cut = 5 << 20;
    const first = await client.send(new s3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: body.subarray(0, cut) }));
    await put(client, 'parts-source', body);
    const second = await client.send(new s3.UploadPartCopyCommand({
      Bucket, Key, UploadId, PartNumber: 2, CopySource: `${BUCKET}/parts-source`, CopySourceRange: `bytes=${cut}-${body.length - 1}`,
    }));
    const { Parts } = await client.send(new s3.ListPartsCommand({ Bucket, Key, UploadId }));
    assert.deepEqual(Parts.map((part) => [part.PartNumber, part.Size]), [[1, cut], [2, body.length - cut]]);
    const { Uploads } = await client.send(new s3.ListMultipartUploadsCommand({ Bucket }));
    assert.deepEqual(Uploads.map((upload) => upload.UploadId), [UploadId]);
    const done = await client.send(new s3.CompleteMultipartUploadCommand({
      Bucket, Key, UploadId, MultipartUpload: { Parts: [
        { PartNumber: 1, ETag: first.ETag }, { PartNumber: 2, ETag: second.CopyPartResult.ETag }] },
    }));
    assert.match(done.ETag, /^"[0-9a-f]{32}-2"$/);
    const answer = await get(client, Key);
    assert.deepEqual(await content(answer), body);
    assert.deepEqual(answer.Metadata, { a: 'b' });
    const other = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key }));
    await client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key, UploadId: other.UploadId }));
    await assert.rejects(client.send(new s3.ListPartsCommand({ Bucket, Key, UploadId: other.UploadId })), refused('NoSuchUpload', 404));
  });

  it('copies, deletes one and deletes many', async () => {
    const client = connect();
    const body = bytes(5000, 3);
    await put(client, 'c/one', body, { Metadata: { from: 'here' } });
    await client.send(new s3.CopyObjectCommand({ Bucket: BUCKET, Key: 'c/two', CopySource: `${BUCKET}/c/one` }));
    const two = await get(client, 'c/two');
    assert.deepEqual(await content(two), body);
    assert.deepEqual(two.Metadata, { from: 'here' });
    await client.send(new s3.DeleteObjectCommand({ Bucket: BUCKET, Key: 'c/one' }));
    await assert.rejects(get(client, 'c/one'), refused('NoSuchKey', 404));
    await put(client, 'c/ä b', body);
    const { Deleted } = await client.send(new s3.DeleteObjectsCommand({
      Bucket: BUCKET, Delete: { Objects: [{ Key: 'c/two' }, { Key: 'c/ä b' }] },
    }));
    assert.deepEqual(Deleted.map((each) => each.Key), ['c/two', 'c/ä b']);
    const listed = await client.send(new s3.ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'c/' }));
    assert.equal(listed.KeyCount, 0);
  });

  it('takes temporary credentials until they expire', async () => {
    await put(connect(STS), 'sts', 'x');
    await assert.rejects(get(connect(EXPIRED_STS), 'sts'), refused('ExpiredToken', 400));
    await assert.rejects(get(connect({ ...STS, token: 'wrong' }), 'sts'), refused('InvalidToken', 400));
  });

  it('refuses wrong keys and missing rights', async () => {
    await assert.rejects(get(connect({ ...KEYS, secret: 'wrong' }), 'x'), refused('SignatureDoesNotMatch', 403));
    await assert.rejects(get(connect({ id: 'nobody', secret: 'x' }), 'x'), refused('InvalidAccessKeyId', 403));
    await assert.rejects(connect(NO_LIST).send(new s3.ListObjectsV2Command({ Bucket: BUCKET })), refused('AccessDenied', 403));
    await assert.rejects(connect().send(new s3.ListObjectsV2Command({ Bucket: 'absent' })), refused('NoSuchBucket', 404));
  });

  it('works in virtual-host style', async () => {
    const client = connect(KEYS, {
      endpoint: `http://s3.example:${origin.port}`, forcePathStyle: false, requestHandler: { httpAgent: loopbackAgent() },
    });
    await put(client, 'virtual', 'host');
    assert.equal((await content(await get(client, 'virtual'))).toString(), 'host');
  });
});
