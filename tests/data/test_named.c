// Named sources without the network: the package tools are replaced by scripts that hand out a small package, or fail
// as the real ones do.
#include <stdint.h>
#include <sys/stat.h>

#include "tests/check.h"
#include "tests/data/scratch.h"
#include "trainer/data/corpus.h"
#include "trainer/data/sentencepiece_face.h"

static struct arena arena;

static void script(const char *name, const char *body) {
  scratch_write(name, body, strlen(body));
  CHECK(chmod(scratch_path(&arena, name), 0755) == 0);
}

static void run(const char *command) {
  char *whole = arena_format(&arena, "cd %s && PATH=/usr/bin:/bin && %s", scratch, command);
  CHECK(system(whole) == 0);
}

// apt-get: counts its downloads, hands out package.deb, or fails as without a network.
static void tools_work(void) {
  script("bin/apt-get",
         "#!/bin/sh\n"
         "PATH=/usr/bin:/bin\n"
         "top=$(dirname \"$0\")/..\n"
         "case \"$*\" in *download*) echo x >> $top/downloads; cp $top/package.deb dict-gcide_1%3a2_all.deb;; "
         "esac\n");
  script("bin/dpkg-deb", "#!/bin/sh\nexec /bin/cat \"$2\"\n");
}

static void tools_fail(void) {
  script("bin/apt-get",
         "#!/bin/sh\n"
         "echo 'E: Failed to fetch http://deb.debian.org/x  Temporary failure resolving' >&2\n"
         "exit 100\n");
}

static size_t downloads(void) {
  size_t length = 0;
  struct error error = {0};
  char *path = scratch_path(&arena, "downloads");
  if (file_exists(path)) file_read(&arena, path, &length, &error);
  return length / 2;
}

static struct run_config gcide_config(void) {
  struct run_config config;
  config_default(&config);
  config.corpus.validation_fraction = 0.2;
  config.model.context = 16;
  return config;
}

static void note(void *context, const char *what, double share) {
  struct text *seen = context;
  CHECK(share == -1 || (share >= 0 && share <= 1));
  text_format(seen, "%s\n", what);
}

static bool prepare(const struct run_config *config, bool refresh, struct corpus_location *location,
                    struct error *error) {
  *error = (struct error){0};
  return corpus_prepare(config, refresh, NULL, NULL, &arena, location, error);
}

static void without_network(void) {
  struct corpus_location location;
  struct error error;
  struct run_config config = gcide_config();
  tools_fail();
  CHECK(!prepare(&config, false, &location, &error));
  CHECK(error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "cannot download the Debian package dict-gcide"));
  CHECK(strstr(error.text, "Temporary failure resolving") && strstr(error.text, "connect to the network"));
}

static void without_apt(void) {
  struct corpus_location location;
  struct error error;
  struct run_config config = gcide_config();
  unlink(scratch_path(&arena, "bin/apt-get"));
  CHECK(!prepare(&config, false, &location, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "apt-get is not on this machine"));
  CHECK(strstr(error.text, "corpus.files"));
}

static void builds_from_packages(void) {
  struct corpus_location location, again;
  struct error error = {0};
  struct run_config config = gcide_config();
  struct text seen = {0};
  tools_work();
  CHECK(corpus_prepare(&config, false, note, &seen, &arena, &location, &error));
  if (error.code) {
    printf("# %s\n", error.text);
    return;
  }
  CHECK(strstr(text_string(&seen), "package dict-gcide") && strstr(text_string(&seen), "tokenizing"));
  CHECK(downloads() == 1);
  struct corpus *corpus = corpus_open(location.path, location.digest, &config, &error);
  if (!CHECK(corpus && corpus_verify(corpus, &error))) return;
  CHECK(strstr(corpus_manifest(corpus), "\"version\": \"1:2\""));  // the package's, in the manifest
  CHECK(strstr(corpus_manifest(corpus), "\"source\": \"gcide\""));
  corpus_close(corpus);
  // Known now without the network; another tokenizer uses the same text; lost packages do not matter then.
  tools_fail();
  CHECK(prepare(&config, false, &again, &error));
  CHECK_TEXT(again.digest, location.digest);
  if (sentencepiece_present()) {
    config.corpus.tokenizer = "sentencepiece";
    config.corpus.vocabulary = 300;
    CHECK(prepare(&config, false, &again, &error));
    CHECK(strcmp(again.digest, location.digest) != 0);
  }
  text_free(&seen);
}

// The text lost, the package kept: built again without the network. The package damaged: downloaded again.
static void mends(void) {
  struct corpus_location location, again;
  struct error error = {0};
  struct run_config config = gcide_config();
  CHECK(prepare(&config, false, &location, &error));
  CHECK(folder_remove(scratch_path(&arena, "isoloss/sources"), &error));
  CHECK(folder_remove(scratch_path(&arena, "isoloss/corpora"), &error));
  CHECK(prepare(&config, false, &again, &error));
  CHECK_TEXT(again.digest, location.digest);
  CHECK(folder_remove(scratch_path(&arena, "isoloss/sources"), &error));
  CHECK(folder_remove(scratch_path(&arena, "isoloss/corpora"), &error));
  scratch_write("isoloss/packages/dict-gcide_1%3a2_all.deb", "damaged", 7);
  CHECK(!prepare(&config, false, &again, &error));  // no network
  tools_work();
  CHECK(prepare(&config, false, &again, &error));
  CHECK_TEXT(again.digest, location.digest);
  CHECK(downloads() == 2);
  // Asked to, it takes the newest package.
  run("echo 'A new last entry' | gzip >> tree/usr/share/dictd/gcide.dict.dz && tar -C tree -cf package.deb usr");
  CHECK(prepare(&config, false, &again, &error));
  CHECK_TEXT(again.digest, location.digest);
  CHECK(prepare(&config, true, &again, &error));
  CHECK(strcmp(again.digest, location.digest) != 0);
  CHECK(downloads() == 3);
}

static void another_layout(void) {
  struct corpus_location location;
  struct error error = {0};
  struct run_config config = gcide_config();
  run("rm -r tree/usr && mkdir -p tree/usr/other && echo x > tree/usr/other/x && tar -C tree -cf package.deb usr");
  CHECK(!prepare(&config, true, &location, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "layout has changed"));
  run("echo no archive > package.deb");
  CHECK(!prepare(&config, true, &location, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "is damaged"));
}

int main(int argc, char **argv) {
  scratch_begin();
  struct error error = {0};
  CHECK(folder_make(scratch_path(&arena, "bin"), &error));
  char *tools = scratch_path(&arena, "bin");
  setenv("PATH", tools, 1);
  tools_work();
  struct text dictionary = {0};
  for (int i = 0; i < 3000; i++) text_format(&dictionary, "Entry %d\n   What it means, in a few words.\n\n", i);
  scratch_write("dictionary", dictionary.bytes, dictionary.length);
  text_free(&dictionary);
  run("mkdir -p tree/usr/share/dictd && gzip < dictionary > tree/usr/share/dictd/gcide.dict.dz && "
      "tar -C tree -cf package.deb usr");
  RUN(without_network);
  RUN(without_apt);
  RUN(builds_from_packages);
  RUN(mends);
  RUN(another_layout);
  arena_free(&arena);
  scratch_end();
  return check_end();
}
