// A parsed template: plain nodes, owned by one Ast and pointing at each other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace kinglet::jinja {

struct Expr {
  enum class Kind : uint8_t {
    constant,         ///< `value`
    name,             ///< `text`
    list,             ///< children
    tuple,            ///< children; also the target of an unpacking
    dict,             ///< children: key, value, key, value, ...
    negate,           ///< child
    posit,            ///< child
    logical_not,      ///< child
    arithmetic,       ///< children joined by `ops`, from the left
    concat,           ///< children joined by ~
    logical_and,      ///< children
    logical_or,       ///< children
    compare,          ///< children joined by `ops` (in and "not in" too)
    conditional,      ///< children: test, then, else (may be null)
    attribute,        ///< child . text
    item,             ///< children: object, key
    slice,            ///< children: start, stop, step, each may be null; only as an item's key
    call,             ///< children: callee, positional arguments
    filter,           ///< children: value (null in a filter block), positional arguments; `text` names it
    test,             ///< children: value, positional arguments; `text` names it
    space_attribute,  ///< target of {% set text.attribute = ... %}
  };
  Kind kind;
  int line;
  std::string text;
  std::string attribute;
  Value value;
  std::vector<const Expr*> children;
  std::vector<std::string> ops;
  std::vector<std::pair<std::string, const Expr*>> named;  ///< keyword arguments
  const Expr* star = nullptr;                              ///< *arguments
  const Expr* star_star = nullptr;                         ///< **arguments
};

struct Stmt;
using Body = std::vector<const Stmt*>;

/// Parameters of a macro or a call block; the defaults belong to the last of them.
struct Signature {
  std::vector<std::string> names;
  std::vector<const Expr*> defaults;
};

struct Stmt {
  enum class Kind : uint8_t {
    data,          ///< `text`
    print,         ///< exprs
    if_,           ///< exprs: tests; bodies: theirs, then possibly else's
    for_,          ///< target; exprs: iterable, filter (may be null); bodies: body, else
    set,           ///< target; exprs: value
    set_block,     ///< target; exprs: filter (may be null); bodies: body
    macro,         ///< `text` names it; signature; bodies: body
    call_block,    ///< exprs: the call; signature; bodies: body
    filter_block,  ///< exprs: filter; bodies: body
    with,          ///< targets; exprs: values; bodies: body
    generation,    ///< bodies: body
    break_,
    continue_,
  };
  Kind kind;
  int line;
  std::string text;
  const Expr* target = nullptr;
  std::vector<const Expr*> targets;
  std::vector<const Expr*> exprs;
  std::vector<Body> bodies;
  Signature signature;
  bool recursive = false;
  bool uses_varargs = false;  ///< macros and call blocks: whether the body mentions these names
  bool uses_kwargs = false;
  bool uses_caller = false;
};

struct Ast {
  std::vector<std::unique_ptr<Expr>> exprs;  // flat: no destructor recurses
  std::vector<std::unique_ptr<Stmt>> stmts;
  Body body;
};

}  // namespace kinglet::jinja
