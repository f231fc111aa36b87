// A conversation of one turn for each argument: chat MODEL MESSAGE...
#include <cstdio>
#include <kinglet/kinglet.hpp>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL MESSAGE...\n", argv[0]);
    return 2;
  }
  auto model = kinglet::Model::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "open: %s\n", model.error().text.c_str());
    return 1;
  }
  auto session = model->session();
  if (!session) {
    std::fprintf(stderr, "session: %s\n", session.error().text.c_str());
    return 1;
  }
  const auto sampling = kinglet::Sampling().temperature(0.7F).top_p(0.9F).seed(1).max_tokens(32);
  for (int i = 2; i < argc; ++i) {
    std::printf("> %s\n", argv[i]);
    auto answer = session->chat(argv[i], sampling, [](std::string_view piece) {
      return std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
    });
    if (!answer) {
      std::fprintf(stderr, "chat: %s\n", answer.error().text.c_str());
      return 1;
    }
    std::printf("\n[%d tokens, %zu held]\n", answer->answer_tokens, session->length());
  }
  return 0;
}
