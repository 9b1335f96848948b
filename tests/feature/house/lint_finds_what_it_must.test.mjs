// The rules of the house are kept by tools/lint: each rule is shown to fail on a planted fault (and the tree itself to pass).
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binaries, repository, run } from '../harness/system.mjs';

const lint = (name, ...words) => run(path.join(repository, 'tools/lint', name), words);

describe('lint', () => {
  let tree;
  before(() => {
    tree = mkdtempSync(path.join(tmpdir(), 'intaglio-lint-'));
    for (const folder of ['src', 'apps', 'tools', 'deploy', 'api', 'tests/feature']) cpSync(path.join(repository, folder), path.join(tree, folder), { recursive: true });
    for (const file of ['Makefile', 'tests/mutants.json', '.clang-format']) cpSync(path.join(repository, file), path.join(tree, file));
  });
  after(() => rmSync(tree, { recursive: true, force: true }));

  /** Plants a file, runs a check over the copy, takes the file away again. */
  function withFile(file, text, check) {
    const target = path.join(tree, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
    try {
      check();
    } finally {
      rmSync(target);
    }
  }
  const refuses = (name, finding) => {
    const result = lint(name, '--root', tree);
    assert.equal(result.status, 1, result.stdout + result.stderr);
    assert.match(result.stdout, finding);
  };

  /** `make lint` of the copy. Packages, build, format and clang-tidy, which find other things, are left out. */
  function makeLint() {
    const leftOut = ['tools/dev/install', 'tools/ci/build', 'tools/lint/format', 'tools/lint/tidy', 'tools/lint/text', 'tools/lint/evidence'];
    for (const tool of leftOut) {
      writeFileSync(path.join(tree, `${tool}.kept`), readFileSync(path.join(tree, tool)));
      writeFileSync(path.join(tree, tool), '#!/bin/sh\n', { mode: 0o755 });
    }
    try {
      return run('make', ['-C', tree, 'lint'], { environment: { MAKEFLAGS: '', MAKELEVEL: '' } });
    } finally {
      for (const tool of leftOut) {
        writeFileSync(path.join(tree, tool), readFileSync(path.join(tree, `${tool}.kept`)));
        rmSync(path.join(tree, `${tool}.kept`));
      }
    }
  }

  it('accepts the includes of this tree', () => {
    const result = lint('rooms', '--root', tree);
    assert.equal(result.stdout, '');
    assert.equal(result.status, 0);
  });

  it('refuses a room that includes a room it does not use: HTTP in the SAM', () => {
    withFile('src/sam/planted.cpp', '#include "http/server.h"\n', () => refuses('rooms', /src\/sam\/planted\.cpp:1: 'sam' may not include http\/server\.h/));
  });

  it('fails `make lint` for a planted include, and for nothing else', () => {
    const clean = makeLint();
    assert.equal(clean.status, 0, clean.stdout + clean.stderr);
    assert.match(clean.stdout, /^ok lint rooms$/m);
    withFile('src/sam/planted.cpp', '#include "http/server.h"\n', () => {
      const made = makeLint();
      assert.notEqual(made.status, 0);
      assert.match(made.stdout, /src\/sam\/planted\.cpp:1: 'sam' may not include http\/server\.h/);
      assert.match(made.stdout, /^not ok lint rooms$/m);
    });
  });

  it('refuses the SSA inside the SAM and the SAM inside the SSA', () => {
    withFile('src/sam/planted.cpp', '#include "ssa/service.h"\n', () => refuses('rooms', /'sam' may not include ssa\/service\.h/));
    withFile('src/ssa/planted.cpp', '#include "sam/core.h"\n', () => refuses('rooms', /'ssa' may not include sam\/core\.h/));
  });

  it('refuses a library outside its room', () => {
    withFile('src/audit/planted.cpp', '#include <sqlite3.h>\n', () => refuses('rooms', /the library 'sqlite' belongs to storage/));
    withFile('apps/ssa/planted.cpp', '#include <p11-kit/pkcs11.h>\n', () => refuses('rooms', /the library 'pkcs11' belongs to token/));
  });

  it('refuses a library that no room names', () => {
    withFile('src/document/planted.cpp', '#include <libxml/parser.h>\n', () => refuses('rooms', /libxml\/parser\.h belongs to no library/));
  });

  it('refuses a folder that the map does not name', () => {
    withFile('src/helpers/planted.cpp', '#include <string>\n', () => refuses('rooms', /src\/helpers: a folder without a row/));
    rmSync(path.join(tree, 'src/helpers'), { recursive: true });
  });

  it('refuses private headers of another room', () => {
    withFile('src/ssa/planted.cpp', '#include "crypto/detail/openssl.h"\n', () => refuses('rooms', /crypto\/detail\/openssl\.h is private to 'crypto'/));
  });

  it('refuses rooms that use each other in a circle', () => {
    const file = path.join(tree, 'tools/lint/rooms.json');
    const before = readFileSync(file, 'utf8');
    const map = JSON.parse(before);
    map.rooms.base.uses.push('ssa');
    writeFileSync(file, JSON.stringify(map));
    try {
      refuses('rooms', /rooms use each other in a circle: /);
    } finally {
      writeFileSync(file, before);
    }
  });

  const planted = [
    ['a second call site for signers\' keys (TC-1)', 'src/custody/planted.cpp', 'void f(T& token) { token.sign_for_activation(1); }\n', /sign_for_activation has 2 call sites/],
    ['a call with a signer\'s key outside custody (TC-1)', 'src/sam/planted.cpp', 'void f(T* token) { token->sign_for_activation(1); }\n', /signer keys are used by custody alone/],
    ['C_SignInit outside the token room (TC-1)', 'src/custody/planted.cpp', 'void f(F* functions) { functions->C_SignInit(1); }\n', /C_SignInit outside src\/token/],
    ['a coroutine', 'src/http/planted.cpp', 'task f() { co_await g(); }\n', /coroutines/],
    ['unfinished work', 'src/json/planted.cpp', `// ${'TO'}DO: later\n`, /unfinished/],
    ['the system clock', 'src/sam/planted.cpp', 'auto t = std::chrono::system_clock::now();\n', /clock: time comes from/],
    ['random numbers that are none', 'src/sam/planted.cpp', 'int r = std::rand();\n', /random/],
    ['a name of a check that stands twice', 'src/sam/planted.cpp', 'bool a = refused_by("planted.twice", x);\nbool b = refused_by("planted.twice", y);\n', /'planted\.twice' stands already/],
    ['a shell', 'src/pki/planted.cpp', 'void f() { system("openssl"); }\n', /no shell/],
  ];
  for (const [what, file, text, finding] of planted) {
    it(`refuses ${what}`, () => withFile(file, text, () => refuses('text', finding)));
  }

  it('refuses a check for which no test is named, a row without a check, and a row whose test is gone', () => {
    withFile('src/sam/planted.cpp', 'bool a = refused_by("planted.check", x);\n', () => refuses('text', /the check 'planted\.check' has no row/));
    const file = path.join(tree, 'tests/mutants.json');
    const before = readFileSync(file, 'utf8');
    try {
      const table = JSON.parse(before);
      table.mutants['planted.row'] = ['unit:unit_sam:Planted.Gone'];
      writeFileSync(file, JSON.stringify(table));
      refuses('text', /'planted\.row' is no check of the sources/);
      refuses('text', /names the unit test Planted\.Gone, which does not exist/);
    } finally {
      writeFileSync(file, before);
    }
  });

  it('refuses a requirement whose test does not exist', () => {
    const table = 'id,source,status,code,test,note\nX-1,A: planted,covered,src/base/check.h,Planted.Gone,planted\n';
    withFile('docs/evidence/requirements.csv', table, () => refuses('evidence', /X-1: the test Planted\.Gone does not exist/));
  });

  it('refuses counts in the README of the evidence that are not those of the table, and a duty without a page', () => {
    const rows = (code) => `id,source,status,code,test,note\nX-1,A: planted,operational,${code},,planted\n`;
    const readme = '# Evidence\n\n```text\nall 0\n```\n';
    withFile('docs/evidence/README.md', readme, () => {
      withFile('docs/evidence/requirements.csv', rows('src/base/check.h'), () => refuses('evidence', /X-1: operational without a page of docs/));
      withFile('docs/evidence/requirements.csv', rows('docs/evidence/README.md'), () => {
        refuses('evidence', /README\.md: the counts are not those of docs\/evidence\/requirements\.csv/);
        assert.equal(lint('evidence', '--root', tree, '--write').status, 0);
        assert.equal(lint('evidence', '--root', tree).status, 0);
      });
    });
  });

  it('does not take comments and texts for code', () => {
    withFile('src/json/planted.cpp', '// std::rand() is no source of keys\nconst char* text = "co_await";\n', () => {
      const result = lint('text', '--root', tree);
      assert.doesNotMatch(result.stdout, /planted/);
    });
  });

  it('refuses OpenAPI whose references lead nowhere and JSON with a member twice', () => {
    withFile('api/planted.json', '{"openapi": "3.1.0", "info": {}, "paths": {"/x": {"$ref": "#/components/none"}}}', () => refuses('text', /#\/components\/none leads nowhere/));
    withFile('api/planted.json', '{"a": 1, "a": 2}', () => refuses('text', /'a' stands twice/));
  });

  it('refuses a SAM that is linked with HTTP code', () => {
    const work = mkdtempSync(path.join(tmpdir(), 'intaglio-lint-'));
    try {
      // The SAM's own link command with the room `http` added.
      const build = path.dirname(binaries);
      const link = run('ninja', ['-C', build, '-t', 'commands', 'intaglio-sam']).stdout.trim().split('\n').at(-1);
      const output = path.join(work, 'bin', 'intaglio-sam');
      mkdirSync(path.dirname(output));
      const http = '-Wl,--whole-archive libintaglio_http.a -Wl,--no-whole-archive';
      const planted = link.replace(/-o bin\/intaglio-sam /, `-o ${output} ${http} `);
      assert.notEqual(planted, link);
      const built = run('bash', ['-c', `cd '${build}' && ${planted}`]);
      assert.equal(built.status, 0, built.stderr);
      const result = lint('binary', '--sam', output);
      assert.equal(result.status, 1);
      assert.match(result.stdout, /holds boost::beast::http/);
      cpSync(path.dirname(output), path.join(tree, 'build/release/bin'), { recursive: true });
      const made = makeLint();
      assert.notEqual(made.status, 0);
      assert.match(made.stdout, /holds boost::beast::http/);
      assert.match(made.stdout, /^not ok lint binary$/m);
    } finally {
      rmSync(path.join(tree, 'build'), { recursive: true, force: true });
      rmSync(work, { recursive: true, force: true });
    }
  });

  it('finds no HTTP code in the SAM that was built', () => {
    const result = lint('binary', '--sam', path.join(binaries, 'intaglio-sam'));
    assert.equal(result.stdout, '');
    assert.equal(result.status, 0);
  });

  it('refuses binaries of the test flavour as a release', () => {
    const result = lint('binary', binaries);
    assert.equal(result.status, 1);
    assert.match(result.stdout, /INTAGLIO_[A-Z_]+, which belongs to the test flavour/);
  });
});
