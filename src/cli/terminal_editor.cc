#include "cli/terminal_editor.h"

#ifndef KINGLET_HAVE_LIBEDIT

namespace kinglet::cli {

std::unique_ptr<TerminalEditor> make_terminal_editor(std::vector<std::string>) { return nullptr; }

}  // namespace kinglet::cli

#else

#include <histedit.h>
#include <langinfo.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tokenizer/utf8.h"

namespace kinglet::cli {
namespace {

std::wstring widen(std::string_view text) {
  std::wstring out;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = next_utf8(text, pos);
    out.push_back(static_cast<wchar_t>(c.valid ? c.code : U'\uFFFD'));
  }
  return out;
}

std::string narrow(std::wstring_view text) {
  std::string out;
  for (const wchar_t c : text) append_utf8(static_cast<char32_t>(c), out);
  return out;
}

// libedit reads characters by the locale. Where that knows none but ASCII, as in most containers, UTF-8 serves better.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// The terminal says where a paste begins and ends while this is on; nothing else understands these sequences.
constexpr char kPasteOn[] = "\033[?2004h", kPasteOff[] = "\033[?2004l";
constexpr std::wstring_view kPasteEnd = L"\033[201~";

class EditLineEditor : public TerminalEditor {
 public:
  explicit EditLineEditor(std::vector<std::string> word_list);
  EditLineEditor(const EditLineEditor&) = delete;
  EditLineEditor& operator=(const EditLineEditor&) = delete;
  ~EditLineEditor() override;

  Input read_line(const std::string& prompt) override;
  void remember(const std::string& entry) override;

 private:
  void bind_keys();

  static EditLineEditor& of(EditLine* edit) {
    void* self = nullptr;
    el_wget(edit, EL_CLIENTDATA, &self);
    return *static_cast<EditLineEditor*>(self);
  }
  static wchar_t* show_prompt(EditLine* edit) { return of(edit).prompt_.data(); }
  static unsigned char on_interrupt(EditLine* edit, wint_t) {
    of(edit).interrupted_ = true;
    return CC_EOF;
  }
  static unsigned char on_suspend(EditLine* edit, wint_t) {
    std::fputs(kPasteOff, stdout);
    std::fflush(stdout);
    el_wset(edit, EL_PREP_TERM, 0);
    std::raise(SIGTSTP);
    el_wset(edit, EL_PREP_TERM, 1);
    std::fputs(kPasteOn, stdout);
    std::fflush(stdout);
    return CC_REDISPLAY;
  }
  // Takes a paste as it is: its line ends are text, and its tabs complete nothing.
  static unsigned char on_paste(EditLine* edit, wint_t) {
    std::wstring text;
    for (wchar_t c; el_wgetc(edit, &c) == 1;) {
      text.push_back(c == L'\r' ? L'\n' : c);
      if (text.ends_with(kPasteEnd)) {
        text.resize(text.size() - kPasteEnd.size());
        break;
      }
    }
    while (text.ends_with(L'\n')) text.pop_back();
    std::erase_if(text, [](wchar_t c) { return c < L' ' && c != L'\n' && c != L'\t'; });
    return text.empty() || el_winsertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }
  // The one word that begins with what is typed, or as much as several share.
  static unsigned char on_tab(EditLine* edit, wint_t) {
    const LineInfoW* line = el_wline(edit);
    const std::wstring_view typed(line->buffer, static_cast<size_t>(line->cursor - line->buffer));
    std::wstring common;
    bool found = false;
    for (const std::wstring& word : of(edit).words_) {
      if (typed.empty() || !word.starts_with(typed)) continue;
      size_t same = 0;
      while (found && same < std::min(common.size(), word.size()) && common[same] == word[same]) ++same;
      common = found ? common.substr(0, same) : word;
      found = true;
    }
    if (!found || common.size() <= typed.size()) return CC_REFRESH_BEEP;
    return el_winsertstr(edit, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  EditLine* edit_ = nullptr;
  HistoryW* history_ = nullptr;
  std::wstring prompt_;
  std::vector<std::wstring> words_;
  bool interrupted_ = false;
};

// Keys that people know from their shells and that libedit does not bind so by itself.
void EditLineEditor::bind_keys() {
  el_wset(edit_, EL_ADDFN, L"kinglet-interrupt", L"give up this line", &EditLineEditor::on_interrupt);
  el_wset(edit_, EL_ADDFN, L"kinglet-suspend", L"stop the program", &EditLineEditor::on_suspend);
  el_wset(edit_, EL_ADDFN, L"kinglet-paste", L"insert a paste", &EditLineEditor::on_paste);
  el_wset(edit_, EL_ADDFN, L"kinglet-complete", L"complete a command", &EditLineEditor::on_tab);
  constexpr const wchar_t* kKeys[][2] = {
      {L"^C", L"kinglet-interrupt"},  {L"^Z", L"kinglet-suspend"},         {L"\\e[200~", L"kinglet-paste"},
      {L"^I", L"kinglet-complete"},   {L"^U", L"vi-kill-line-prev"},       {L"^W", L"ed-delete-prev-word"},
      {L"^R", L"em-inc-search-prev"}, {L"^P", L"ed-prev-history"},         {L"^N", L"ed-next-history"},
      {L"\\e[A", L"ed-prev-history"}, {L"\\e[B", L"ed-next-history"},      {L"\\eOA", L"ed-prev-history"},
      {L"\\eOB", L"ed-next-history"}, {L"\\e[1~", L"ed-move-to-beg"},      {L"\\e[4~", L"ed-move-to-end"},
      {L"\\e[H", L"ed-move-to-beg"},  {L"\\e[F", L"ed-move-to-end"},       {L"\\eOH", L"ed-move-to-beg"},
      {L"\\eOF", L"ed-move-to-end"},  {L"\\e[3~", L"ed-delete-next-char"}, {L"\\e[1;5D", L"ed-prev-word"},
      {L"\\e[1;5C", L"em-next-word"}, {L"\\e\\e[D", L"ed-prev-word"},      {L"\\e\\e[C", L"em-next-word"},
  };
  for (const auto& [key, function] : kKeys) el_wset(edit_, EL_BIND, key, function, nullptr);
}

EditLineEditor::EditLineEditor(std::vector<std::string> word_list) {
  use_utf8();
  for (const std::string& word : word_list) words_.push_back(widen(word));
  edit_ = el_init("kinglet", stdin, stdout, stderr);
  history_ = history_winit();
  HistEventW event;
  history_w(history_, &event, H_SETSIZE, 10000);
  history_w(history_, &event, H_SETUNIQUE, 1);
  el_wset(edit_, EL_CLIENTDATA, this);
  el_wset(edit_, EL_PROMPT, &EditLineEditor::show_prompt);
  el_wset(edit_, EL_EDITOR, L"emacs");
  el_wset(edit_, EL_HIST, history_w, history_);
  el_wset(edit_, EL_SIGNAL,
          1);  // follows changes of the window's size, and restores the terminal where a signal ends us
  el_wset(edit_, EL_SETTY, L"-d", L"-isig", nullptr);  // while a line is edited Ctrl-C and Ctrl-Z are keys
  bind_keys();
}
EditLineEditor::~EditLineEditor() {
  el_end(edit_);
  history_wend(history_);
}

void EditLineEditor::remember(const std::string& entry) {
  HistEventW event;
  history_w(history_, &event, H_ENTER, widen(entry).c_str());
}

Input EditLineEditor::read_line(const std::string& prompt) {
  prompt_ = widen(prompt);
  interrupted_ = false;
  std::fputs(kPasteOn, stdout);
  std::fflush(stdout);
  int count = 0;
  const wchar_t* const line = el_wgets(edit_, &count);
  std::fputs(kPasteOff, stdout);
  Input input;
  if (line != nullptr && count > 0) {
    input.kind = Input::Kind::text;
    input.text = narrow({line, static_cast<size_t>(count)});
    if (input.text.ends_with('\n')) input.text.pop_back();
  } else {
    input.kind = interrupted_ ? Input::Kind::interrupted : Input::Kind::end;
    std::fputs(interrupted_ ? "^C\n" : "\n", stdout);
  }
  std::fflush(stdout);
  return input;
}

}  // namespace

std::unique_ptr<TerminalEditor> make_terminal_editor(std::vector<std::string> words) {
  return std::make_unique<EditLineEditor>(std::move(words));
}

}  // namespace kinglet::cli

#endif
