#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "tokenizer/jinja/lexer.h"
#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace kinglet::jinja {
namespace {

using Kind = Expr::Kind;
using Names = std::initializer_list<std::string_view>;

/// What jinja2 knows and chat templates have no use for.
constexpr std::string_view kForeignTags[] = {"autoescape", "block",   "debug",     "do",    "extends", "from",
                                             "import",     "include", "pluralize", "print", "trans"};

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::data:
      return "template data";
    case Token::Kind::variable_begin:
      return "begin of print statement";
    case Token::Kind::variable_end:
      return "end of print statement";
    case Token::Kind::block_begin:
      return "begin of statement block";
    case Token::Kind::block_end:
      return "end of statement block";
    case Token::Kind::end:
      return "end of template";
    default:
      return token.text;
  }
}

class Parser {
 public:
  Parser(Heap& heap, std::string_view source) : heap_(heap), tokens_(tokenize(source)) {}

  Ast run() {
    ast_.body = statements({});
    if (!unknown_.empty()) raise_unknown(*unknown_.front());
    return std::move(ast_);
  }

 private:
  /// One level of nesting in the source.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > parser_.heap_.limits().max_depth) {
        raise_limit_at(parser_.now().line, parser_.heap_.limits().max_depth);
      }
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    [[noreturn]] static void raise_limit_at(int line, int depth) {
      throw Failure{Code::resource_exhausted, line, fmt::format("the template nests more than {} deep", depth)};
    }
    Parser& parser_;
  };

  // -- tokens --

  const Token& now() const { return tokens_[pos_]; }
  const Token& ahead() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  const Token& take() { return tokens_[pos_ + 1 < tokens_.size() ? pos_++ : pos_]; }
  bool skip_op(std::string_view op) { return now().is_op(op) && (take(), true); }
  bool skip_name(std::string_view name) { return now().is_name(name) && (take(), true); }

  [[noreturn]] void unexpected(std::string_view wanted) const {
    raise_syntax(now().line, "expected token '{}', got {}", wanted, quote(describe(now())));
  }
  void expect_op(std::string_view op) {
    if (!skip_op(op)) unexpected(op);
  }
  void expect_word(std::string_view name) {
    if (!skip_name(name)) unexpected(name);
  }
  std::string expect_name() {
    if (!now().is(Token::Kind::name)) unexpected("name");
    return take().text;
  }
  void expect_block_end() {
    if (!now().is(Token::Kind::block_end)) unexpected("end of statement block");
    take();
  }

  // -- nodes --

  Expr* make(Kind kind, int line, std::vector<const Expr*> children = {}) {
    ast_.exprs.push_back(std::make_unique<Expr>());
    Expr* expr = ast_.exprs.back().get();
    expr->kind = kind;
    expr->line = line;
    expr->children = std::move(children);
    return expr;
  }
  Stmt* make(Stmt::Kind kind, int line) {
    ast_.stmts.push_back(std::make_unique<Stmt>());
    Stmt* stmt = ast_.stmts.back().get();
    stmt->kind = kind;
    stmt->line = line;
    return stmt;
  }
  const Expr* constant(int line, Value value) {
    Expr* expr = make(Kind::constant, line);
    expr->value = std::move(value);
    return expr;
  }

  // -- statements --

  /// Statements up to one of `ends`, which is left as the current token; up to the end of the source where `ends` is
  /// empty.
  Body statements(Names ends) {
    Body body;
    while (true) {
      const Token& token = now();
      switch (token.kind) {
        case Token::Kind::data: {
          Stmt* stmt = make(Stmt::Kind::data, token.line);
          stmt->text = take().text;
          body.push_back(stmt);
          break;
        }
        case Token::Kind::variable_begin:
          body.push_back(variable());
          break;
        case Token::Kind::block_begin: {
          take();
          const auto ended = [this](std::string_view end) { return now().is_name(end); };
          if (std::any_of(ends.begin(), ends.end(), ended)) return body;
          body.push_back(statement(ends));
          break;
        }
        case Token::Kind::end:
          if (ends.size() > 0)
            raise_syntax(token.line, "Unexpected end of template; looking for '{}'", *(ends.end() - 1));
          return body;
        default:
          raise_syntax(token.line, "unexpected {}", quote(describe(token)));
      }
    }
  }

  const Stmt* variable() {
    Stmt* stmt = make(Stmt::Kind::print, take().line);
    stmt->exprs.push_back(tuple());
    if (!now().is(Token::Kind::variable_end)) unexpected("end of print statement");
    take();
    return stmt;
  }

  /// The body of a block: after its opening words, up to and past one of `ends`. Returns which one it was.
  /// `conditional`: an if may leave the body out.
  std::string block_body(Stmt* stmt, Names ends, bool conditional = false) {
    skip_op(":");
    expect_block_end();
    const bool outer = std::exchange(conditional_, conditional);
    stmt->bodies.push_back(statements(ends));
    conditional_ = outer;
    return take().text;
  }

  const Stmt* statement(Names open_ends) {
    const Level level(*this);
    if (!now().is(Token::Kind::name)) raise_syntax(now().line, "tag name expected");
    const std::string name = now().text;
    const int line = now().line;
    take();
    const Stmt* stmt = tag(name, line, open_ends);
    expect_block_end();
    return stmt;
  }

  const Stmt* tag(const std::string& name, int line, Names open_ends) {
    if (name == "if") return if_tag(line);
    if (name == "set") return set_tag(line);
    if (name == "for") return for_tag(line);
    if (name == "macro") return macro_tag(line);
    if (name == "call") return call_tag(line);
    if (name == "filter") return filter_tag(line);
    if (name == "with") return with_tag(line);
    if (name == "generation") return generation_tag(line);
    if (name == "break" || name == "continue") return loop_tag(name, line);
    unknown_tag(name, line, open_ends);
  }

  [[noreturn]] void unknown_tag(const std::string& name, int line, Names open_ends) const {
    if (std::find(std::begin(kForeignTags), std::end(kForeignTags), name) != std::end(kForeignTags)) {
      raise_unsupported(line, "the tag '{}' is outside the subset that chat templates use", name);
    }
    if (name.starts_with("end") || name == "else" || name == "elif") {
      if (open_ends.size() == 0) raise_syntax(line, "Encountered unknown tag '{}'.", name);
      raise_syntax(line, "Encountered unknown tag '{}'. Jinja was looking for '{}'.", name, *(open_ends.end() - 1));
    }
    raise_unsupported(line, "unknown tag '{}'", name);
  }

  const Stmt* if_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::if_, line);
    const bool outer = std::exchange(conditional_, true);
    while (true) {
      stmt->exprs.push_back(tuple(/*with_conditional=*/false));
      const std::string end = block_body(stmt, {"elif", "else", "endif"}, /*conditional=*/true);
      if (end == "elif") continue;
      if (end == "else") block_body(stmt, {"endif"}, /*conditional=*/true);
      break;
    }
    conditional_ = outer;
    return stmt;
  }

  const Stmt* for_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::for_, line);
    stmt->target = target(/*with_space=*/false);
    expect_word("in");
    stmt->exprs.push_back(tuple(/*with_conditional=*/false));
    stmt->exprs.push_back(skip_name("if") ? expression() : nullptr);
    stmt->recursive = skip_name("recursive");
    ++loops_;
    const std::string end = block_body(stmt, {"else", "endfor"});
    --loops_;
    if (end == "else") block_body(stmt, {"endfor"});
    else stmt->bodies.emplace_back();
    return stmt;
  }

  const Stmt* set_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::set, line);
    stmt->target = target(/*with_space=*/true);
    if (skip_op("=")) {
      stmt->exprs.push_back(tuple());
      return stmt;
    }
    stmt->kind = Stmt::Kind::set_block;
    stmt->exprs.push_back(now().is_op("|") ? filters(nullptr) : nullptr);
    block_body(stmt, {"endset"});
    return stmt;
  }

  const Stmt* macro_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::macro, line);
    stmt->text = expect_name();
    stmt->signature = signature();
    closed_body(stmt, "endmacro");
    return stmt;
  }

  const Stmt* call_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::call_block, line);
    if (now().is_op("(")) stmt->signature = signature();
    stmt->exprs.push_back(expression());
    if (stmt->exprs[0]->kind != Kind::call) raise_syntax(line, "expected call");
    closed_body(stmt, "endcall");
    return stmt;
  }

  /// A body that is a function of its own: a loop around it cannot be left from inside.
  void closed_body(Stmt* stmt, std::string_view end) {
    const int outer = std::exchange(loops_, 0);
    const Specials around = std::exchange(specials_, {});
    block_body(stmt, {end});
    loops_ = outer;
    stmt->uses_varargs = specials_.varargs;
    stmt->uses_kwargs = specials_.kwargs;
    stmt->uses_caller = specials_.caller;
    specials_.varargs |= around.varargs;
    specials_.kwargs |= around.kwargs;
    specials_.caller |= around.caller;
  }

  const Stmt* filter_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::filter_block, line);
    stmt->exprs.push_back(filters(one_filter(nullptr)));
    block_body(stmt, {"endfilter"});
    return stmt;
  }

  const Stmt* with_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::with, line);
    while (!now().is(Token::Kind::block_end)) {
      if (!stmt->targets.empty()) expect_op(",");
      stmt->targets.push_back(target(/*with_space=*/false));
      expect_op("=");
      stmt->exprs.push_back(expression());
    }
    block_body(stmt, {"endwith"});
    return stmt;
  }

  const Stmt* generation_tag(int line) {
    Stmt* stmt = make(Stmt::Kind::generation, line);
    closed_body(stmt, "endgeneration");
    return stmt;
  }

  const Stmt* loop_tag(const std::string& name, int line) {
    if (loops_ == 0) raise_syntax(line, "'{}' outside loop", name);
    return make(name == "break" ? Stmt::Kind::break_ : Stmt::Kind::continue_, line);
  }

  Signature signature() {
    Signature out;
    expect_op("(");
    while (!now().is_op(")")) {
      if (!out.names.empty()) expect_op(",");
      out.names.push_back(expect_name());
      if (skip_op("=")) out.defaults.push_back(expression());
      else if (!out.defaults.empty()) raise_syntax(now().line, "non-default argument follows default argument");
    }
    expect_op(")");
    return out;
  }

  /// What is assigned to: a name, several names, or (where allowed) an attribute of a namespace.
  const Expr* target(bool with_space) {
    const int line = now().line;
    std::vector<const Expr*> parts;
    bool several = false;
    while (true) {
      if (!parts.empty()) expect_op(",");
      if (several && (now().is_name("in") || now().is_op("=") || now().is_op(")") || now().is(Token::Kind::block_end)))
        break;
      parts.push_back(one_target(with_space));
      if (!now().is_op(",")) break;
      several = true;
    }
    return several ? make(Kind::tuple, line, std::move(parts)) : parts[0];
  }

  const Expr* one_target(bool with_space) {
    const Level level(*this);
    const int line = now().line;
    if (skip_op("(")) {
      const Expr* inner = target(with_space);
      expect_op(")");
      return inner;
    }
    if (!now().is(Token::Kind::name)) raise_syntax(line, "can't assign to {}", quote(describe(now())));
    const std::string name = take().text;
    for (const char* word : {"true", "false", "none", "True", "False", "None"}) {
      if (name == word) raise_syntax(line, "can't assign to '{}'", name);
    }
    Expr* expr = make(Kind::name, line);
    expr->text = name;
    if (with_space && skip_op(".")) {
      expr->kind = Kind::space_attribute;
      expr->attribute = expect_name();
    }
    return expr;
  }

  // -- expressions, from the loosest binding to the tightest --

  const Expr* expression(bool with_conditional = true) { return with_conditional ? conditional() : logical_or(); }

  const Expr* conditional() {
    const Level level(*this);
    const int line = now().line;
    const bool outer = conditional_;
    const size_t known_before = unknown_.size();
    const Expr* expr = logical_or();
    if (now().is_name("if")) unknown_.resize(known_before);  // it turns out to be the part that the if may leave out
    while (skip_name("if")) {
      conditional_ = true;
      const Expr* test = logical_or();
      const Expr* otherwise = skip_name("else") ? conditional() : nullptr;
      expr = make(Kind::conditional, line, {test, expr, otherwise});
    }
    conditional_ = outer;
    return expr;
  }

  const Expr* logical_or() { return logical("or", Kind::logical_or, &Parser::logical_and); }
  const Expr* logical_and() { return logical("and", Kind::logical_and, &Parser::logical_not); }

  const Expr* logical(std::string_view word, Kind kind, const Expr* (Parser::*inner)()) {
    const int line = now().line;
    std::vector<const Expr*> parts{(this->*inner)()};
    while (skip_name(word)) parts.push_back((this->*inner)());
    return parts.size() == 1 ? parts[0] : make(kind, line, std::move(parts));
  }

  const Expr* logical_not() {
    const Level level(*this);
    const int line = now().line;
    if (skip_name("not")) return make(Kind::logical_not, line, {logical_not()});
    return compare();
  }

  const Expr* compare() {
    const int line = now().line;
    std::vector<const Expr*> parts{sum()};
    std::vector<std::string> ops;
    while (true) {
      const Token& token = now();
      const bool symbol = token.is_op("==") || token.is_op("!=") || token.is_op("<") || token.is_op("<=") ||
                          token.is_op(">") || token.is_op(">=");
      if (symbol || token.is_name("in")) {
        ops.push_back(take().text);
      } else if (token.is_name("not") && ahead().is_name("in")) {
        take();
        take();
        ops.emplace_back("not in");
      } else {
        break;
      }
      parts.push_back(sum());
    }
    return joined(Kind::compare, line, std::move(parts), std::move(ops));
  }

  const Expr* joined(Kind kind, int line, std::vector<const Expr*> parts, std::vector<std::string> ops) {
    if (parts.size() == 1) return parts[0];
    Expr* expr = make(kind, line, std::move(parts));
    expr->ops = std::move(ops);
    return expr;
  }

  const Expr* arithmetic(Names words, Kind kind, const Expr* (Parser::*inner)()) {
    const int line = now().line;
    std::vector<const Expr*> parts{(this->*inner)()};
    std::vector<std::string> ops;
    while (std::any_of(words.begin(), words.end(), [this](std::string_view op) { return now().is_op(op); })) {
      ops.push_back(take().text);
      parts.push_back((this->*inner)());
    }
    return joined(kind, line, std::move(parts), std::move(ops));
  }
  const Expr* sum() { return arithmetic({"+", "-"}, Kind::arithmetic, &Parser::concat); }
  const Expr* concat() { return arithmetic({"~"}, Kind::concat, &Parser::product); }
  const Expr* product() { return arithmetic({"*", "/", "//", "%"}, Kind::arithmetic, &Parser::power); }
  const Expr* power() { return arithmetic({"**"}, Kind::arithmetic, &Parser::filtered_unary); }

  const Expr* filtered_unary() { return unary(/*with_filters=*/true); }

  const Expr* unary(bool with_filters) {
    const Level level(*this);
    const int line = now().line;
    const Expr* expr = nullptr;
    if (skip_op("-")) expr = make(Kind::negate, line, {unary(false)});
    else if (skip_op("+")) expr = make(Kind::posit, line, {unary(false)});
    else expr = primary();
    expr = postfix(expr);
    return with_filters ? filters(expr) : expr;
  }

  const Expr* primary() {
    const Token token = now();
    switch (token.kind) {
      case Token::Kind::name:
        take();
        return name(token);
      case Token::Kind::string:
        return string();
      case Token::Kind::integer:
        take();
        return constant(token.line, integer(token));
      case Token::Kind::real:
        take();
        return constant(token.line, real(token));
      default:
        break;
    }
    if (skip_op("(")) {
      const Expr* inner = tuple(true, /*parenthesized=*/true);
      expect_op(")");
      return inner;
    }
    if (skip_op("[")) return list(token.line);
    if (skip_op("{")) return dict(token.line);
    raise_syntax(token.line, "unexpected {}", quote(describe(token)));
  }

  const Expr* name(const Token& token) {
    if (token.text == "true" || token.text == "True") return constant(token.line, Value::of(true));
    if (token.text == "false" || token.text == "False") return constant(token.line, Value::of(false));
    if (token.text == "none" || token.text == "None") return constant(token.line, Value::none());
    specials_.varargs |= token.text == "varargs";
    specials_.kwargs |= token.text == "kwargs";
    specials_.caller |= token.text == "caller";
    Expr* expr = make(Kind::name, token.line);
    expr->text = token.text;
    return expr;
  }

  const Expr* string() {
    const int line = now().line;
    std::string text;
    while (now().is(Token::Kind::string)) text += take().text;
    return constant(line, make_text(heap_, std::move(text)));
  }

  static Value integer(const Token& token) {
    std::string_view digits = token.text;
    int base = 10;
    if (digits.size() > 2 && digits[0] == '0') {
      base = (digits[1] | 0x20) == 'b' ? 2 : (digits[1] | 0x20) == 'o' ? 8 : (digits[1] | 0x20) == 'x' ? 16 : 10;
      if (base != 10) digits.remove_prefix(2);
    }
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      raise_unsupported(token.line, "integers beyond 64 bits are outside the subset");
    }
    return Value::of(value);
  }

  static Value real(const Token& token) {
    double value = 0;
    std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    return Value::of(value);
  }

  const Expr* list(int line) {
    Expr* expr = make(Kind::list, line);
    while (!now().is_op("]")) {
      if (!expr->children.empty()) expect_op(",");
      if (now().is_op("]")) break;
      expr->children.push_back(expression());
    }
    expect_op("]");
    return expr;
  }

  const Expr* dict(int line) {
    Expr* expr = make(Kind::dict, line);
    while (!now().is_op("}")) {
      if (!expr->children.empty()) expect_op(",");
      if (now().is_op("}")) break;
      expr->children.push_back(expression());
      expect_op(":");
      expr->children.push_back(expression());
    }
    expect_op("}");
    return expr;
  }

  bool tuple_ends() const {
    return now().is(Token::Kind::variable_end) || now().is(Token::Kind::block_end) || now().is_op(")") ||
           now().is_name("recursive");
  }

  /// One expression, or several with commas between them.
  const Expr* tuple(bool with_conditional = true, bool parenthesized = false) {
    const int line = now().line;
    std::vector<const Expr*> parts;
    bool several = false;
    while (true) {
      if (!parts.empty()) expect_op(",");
      if (tuple_ends()) break;
      parts.push_back(expression(with_conditional));
      if (!now().is_op(",")) break;
      several = true;
    }
    if (!several && !parts.empty()) return parts[0];
    if (!several && !parenthesized) raise_syntax(line, "Expected an expression, got {}", quote(describe(now())));
    return make(Kind::tuple, line, std::move(parts));
  }

  const Expr* postfix(const Expr* expr) {
    while (true) {
      const int line = now().line;
      if (skip_op(".")) expr = dotted(expr, line);
      else if (skip_op("[")) expr = subscript(expr, line);
      else if (now().is_op("(")) expr = call(expr);
      else return expr;
    }
  }

  const Expr* dotted(const Expr* object, int line) {
    if (now().is(Token::Kind::integer)) return make(Kind::item, line, {object, constant(line, integer(take()))});
    if (!now().is(Token::Kind::name)) raise_syntax(now().line, "expected name or number");
    Expr* expr = make(Kind::attribute, line, {object});
    expr->text = take().text;
    return expr;
  }

  const Expr* subscript(const Expr* object, int line) {
    std::vector<const Expr*> keys;
    while (!now().is_op("]")) {
      if (!keys.empty()) expect_op(",");
      keys.push_back(subscript_key());
    }
    expect_op("]");
    const Expr* key = keys.size() == 1 ? keys[0] : make(Kind::tuple, line, std::move(keys));
    return make(Kind::item, line, {object, key});
  }

  const Expr* subscript_key() {
    const int line = now().line;
    const Expr* start = now().is_op(":") ? nullptr : expression();
    if (!skip_op(":")) return start;
    const auto ends = [this] { return now().is_op("]") || now().is_op(",") || now().is_op(":"); };
    const Expr* stop = ends() ? nullptr : expression();
    const Expr* step = skip_op(":") && !ends() ? expression() : nullptr;
    return make(Kind::slice, line, {start, stop, step});
  }

  const Expr* call(const Expr* callee) {
    Expr* expr = make(Kind::call, now().line, {callee});
    arguments(expr);
    return expr;
  }

  void arguments(Expr* expr) {
    const int line = now().line;
    expect_op("(");
    const auto ensure = [line](bool allowed) {
      if (!allowed) raise_syntax(line, "invalid syntax for function call expression");
    };
    for (bool first = true; !now().is_op(")"); first = false) {
      if (!first) {
        expect_op(",");
        if (now().is_op(")")) break;
      }
      if (skip_op("*")) {
        ensure(!expr->star && !expr->star_star);
        expr->star = expression();
      } else if (skip_op("**")) {
        ensure(!expr->star_star);
        expr->star_star = expression();
      } else if (now().is(Token::Kind::name) && ahead().is_op("=")) {
        ensure(!expr->star_star);
        std::string name = take().text;
        take();
        expr->named.emplace_back(std::move(name), expression());
      } else {
        ensure(!expr->star && !expr->star_star && expr->named.empty());
        expr->children.push_back(expression());
      }
    }
    expect_op(")");
  }

  /// Filters, tests and calls behind `expr` (null at the head of a filter block).
  const Expr* filters(const Expr* expr) {
    while (true) {
      if (skip_op("|")) expr = one_filter(expr);
      else if (expr && now().is_name("is")) expr = test(expr);
      else if (expr && now().is_op("(")) expr = call(expr);
      else return expr;
    }
  }

  std::string dotted_name() {
    std::string name = expect_name();
    while (skip_op(".")) name += "." + expect_name();
    return name;
  }

  const Expr* one_filter(const Expr* value) {
    const int line = now().line;
    Expr* expr = make(Kind::filter, line, {value});
    expr->text = dotted_name();
    if (now().is_op("(")) arguments(expr);
    check_name(*expr);
    return expr;
  }

  const Expr* test(const Expr* value) {
    const int line = take().line;
    const bool negated = skip_name("not");
    Expr* expr = make(Kind::test, line, {value});
    expr->text = dotted_name();
    if (now().is_op("(")) {
      arguments(expr);
    } else if (test_argument_follows()) {
      if (now().is_name("is")) raise_syntax(now().line, "You cannot chain multiple tests with is");
      expr->children.push_back(postfix(primary()));
    }
    check_name(*expr);
    return negated ? make(Kind::logical_not, line, {expr}) : expr;
  }

  bool test_argument_follows() const {
    switch (now().kind) {
      case Token::Kind::name:
        return !now().is_name("else") && !now().is_name("or") && !now().is_name("and");
      case Token::Kind::string:
      case Token::Kind::integer:
      case Token::Kind::real:
        return true;
      default:
        return now().is_op("[") || now().is_op("{");
    }
  }

  /// jinja2 refuses an unknown filter or test when it compiles, except in what an if may leave out: there it waits
  /// until it is used.
  void check_name(const Expr& expr) {
    const bool known = expr.kind == Kind::filter ? is_filter(expr.text) : is_test(expr.text);
    if (!known && !conditional_) unknown_.push_back(&expr);
  }

  /// Names that a macro's body may mention to get more than its parameters.
  struct Specials {
    bool varargs = false, kwargs = false, caller = false;
  };

  Heap& heap_;
  std::vector<Token> tokens_;
  Specials specials_;
  size_t pos_ = 0;
  int depth_ = 0;
  int loops_ = 0;
  bool conditional_ = false;
  std::vector<const Expr*> unknown_;  // filters and tests, outside of ifs
  Ast ast_;
};

}  // namespace

Ast parse(Heap& heap, std::string_view source) { return Parser(heap, source).run(); }

}  // namespace kinglet::jinja
