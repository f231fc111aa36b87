/* Continues a text with a model: complete MODEL TEXT. The answer streams to standard output. */
#include <kinglet/kinglet.h>
#include <stdio.h>
#include <string.h>

static int print_piece(const char* text, size_t size, void* user) {
  (void)user;
  fwrite(text, 1, size, stdout);
  return fflush(stdout); /* where nobody reads any more, stop */
}

static int fail(const char* what, const kinglet_error* error) {
  fprintf(stderr, "%s: %s\n", what, error->text);
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL TEXT\n", argv[0]);
    return 2;
  }
  kinglet_error error;
  kinglet_model* model = NULL;
  if (kinglet_model_open(argv[1], NULL, &model, &error) != KINGLET_OK) return fail("open", &error);
  printf("kinglet %s, %s, %d tokens in the vocabulary\n", kinglet_version(), kinglet_model_architecture(model),
         (int)kinglet_model_vocab_size(model));

  size_t tokens = 0;
  kinglet_tokenize(model, argv[2], strlen(argv[2]), 0, NULL, 0, &tokens, NULL);
  printf("the text is %zu tokens\n", tokens);

  kinglet_session* session = NULL;
  if (kinglet_session_open(model, NULL, &session, &error) != KINGLET_OK) {
    kinglet_model_close(model);
    return fail("session", &error);
  }
  kinglet_sampling sampling;
  kinglet_sampling_init(&sampling);
  sampling.temperature = 0;
  sampling.max_tokens = 32;
  kinglet_answer answer = {.size = sizeof(answer)};
  const kinglet_code code =
      kinglet_generate(session, argv[2], strlen(argv[2]), &sampling, print_piece, NULL, &answer, &error);
  if (code == KINGLET_OK) printf("\n%d tokens in %.2f s\n", (int)answer.answer_tokens, answer.answer_seconds);

  kinglet_session_close(session);
  kinglet_model_close(model);
  return code == KINGLET_OK ? 0 : fail("generate", &error);
}
