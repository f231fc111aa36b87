// What jinja2 3.1.6 gives, set up as transformers does, for expressions and statements of every kind: its output, or its
// error (a bare "error: " where only the refusal counts and the words are our own).
#include <gtest/gtest.h>

#include "formats/json.h"
#include "tokenizer/chat_template.h"

namespace kinglet {
namespace {

struct Case {
  const char* source;
  const char* expected;
};

constexpr char kVariables[] = R"~({
 "messages": [
  {
   "role": "system",
   "content": "Be terse."
  },
  {
   "role": "user",
   "content": " Hi <b> & 'you' \"q\" "
  },
  {
   "role": "assistant",
   "content": null,
   "tool_calls": [
    {
     "id": "call00001",
     "function": {
      "name": "f",
      "arguments": {
       "x": 1,
       "y": [
        1.5,
        true,
        null
       ],
       "z": "é\n\t "
      }
     }
    }
   ]
  },
  {
   "role": "tool",
   "content": "{}"
  }
 ],
 "d": {
  "b": 1,
  "A": 2,
  "c": {
   "x": [
    1,
    2,
    {
     "k": "v"
    }
   ]
  },
  "items": "shadow",
  "none": null
 },
 "l": [
  3,
  1,
  2
 ],
 "words": [
  "Banana",
  "apple",
  "cherry",
  "Apple"
 ],
 "s": "Hello, World",
 "u": "日本語テキスト",
 "e": "",
 "n": 42,
 "neg": -7,
 "f": 2.5,
 "big": 1e+22,
 "small": 1e-07,
 "t": true,
 "ff": false,
 "z": null,
 "people": [
  {
   "name": "Bob",
   "age": 30,
   "a": {
    "c": "X"
   }
  },
  {
   "name": "alice",
   "age": 25,
   "a": {
    "c": "Y"
   }
  },
  {
   "name": "Carl",
   "age": 30
  }
 ],
 "huge": 18446744073709551615,
 "nested": [
  [
   1,
   [
    2,
    [
     3
    ]
   ]
  ],
  {
   "a": {
    "b": []
   }
  },
  {}
 ],
 "tabs": "a\tb\nc\r\nd\u000be",
 "floats": [
  0.1,
  1.0,
  100.0,
  1000000000000000.0,
  1e+16,
  1e+17,
  123456789.123,
  0.0001,
  1e-05,
  5e-324,
  1.7976931348623157e+308,
  -0.0,
  0.30000000000000004
 ]
})~";

constexpr Case kCases[] = {
    {R"~({{ 1 }}{{ 1.0 }}{{ true }}{{ none }}{{ 'a' }}{{ "b" }}{{ 'a' 'b' "c" }})~", "11.0TrueNoneababc"},
    {"{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** "
     "-1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}",
     "5.0 3 -4 1 2 -2 1024 0.5 64 4"},
    {"{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 1 / 3 }} {{ 10 / 5 }} {{ 1e3 }} {{ 1.5e-3 }} {{ "
     "1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }}",
     "3.0 -4.0 1.5 0.5 0.3333333333333333 2.0 1000.0 0.0015 1000 31 5 15"},
    {"{{ 'a' ~ 1 ~ none ~ true ~ [1,'x'] }} {{ 'a' * 3 }} {{ [1,2] * 2 }} {{ [1] + [2] }} {{ (1,2) + (3,) }} {{ 3 * "
     "'ab' }}",
     "a1NoneTrue[1, 'x'] aaa [1, 2, 1, 2] [1, 2] (1, 2, 3) ababab"},
    {"{{ 1 + 'a' }}", "error: TypeError: unsupported operand type(s) for +: 'int' and 'str'"},
    {"{{ 'a' + 1 }}", R"~(error: TypeError: can only concatenate str (not "int") to str)~"},
    {"{{ [1] + (2,) }}", R"~(error: TypeError: can only concatenate list (not "tuple") to list)~"},
    {"{{ none + 1 }}", "error: TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'"},
    {"{{ 1 / 0 }}", "error: ZeroDivisionError: division by zero"},
    {"{{ 1 // 0 }}", "error: ZeroDivisionError: integer division or modulo by zero"},
    {"{{ 1 % 0 }}", "error: ZeroDivisionError: integer modulo by zero"},
    {"{{ 1.0 / 0 }}", "error: ZeroDivisionError: float division by zero"},
    {"{{ undefined_thing }}|{{ undefined_thing.x }}", "error: UndefinedError: 'undefined_thing' is undefined"},
    {"{{ undefined_thing + 1 }}", "error: UndefinedError: 'undefined_thing' is undefined"},
    {"{{ 'a' + undefined_thing }}", "error: UndefinedError: 'undefined_thing' is undefined"},
    {"{{ 'a' ~ undefined_thing }}|", "a|"},
    {"{{ d.nope }}|{{ d['nope'] }}|{{ d.nope.deeper }}",
     "error: UndefinedError: 'dict object' has no attribute 'nope'"},
    {"{{ l[10] }}|{{ l[10].x }}", "error: UndefinedError: list object has no element 10"},
    {"{{ n.foo }}|{{ n.foo.bar }}", "error: UndefinedError: 'int object' has no attribute 'foo'"},
    {"{{ none.foo.bar }}", "error: UndefinedError: 'None' has no attribute 'foo'"},
    {"{{ d['items'] }} {{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.items() }} {{ d.keys() }} "
     "{{ d.values() }}",
     "shadow [('b', 1), ('A', 2), ('c', {'x': [1, 2, {'k': 'v'}]}), ('items', 'shadow'), ('none', None)] ['b', 'A', "
     "'c', 'items', 'none'] [1, 2, {'x': [1, 2, {'k': 'v'}]}, 'shadow', None] dict_items([('b', 1), ('A', 2), ('c', "
     "{'x': [1, 2, {'k': 'v'}]}), ('items', 'shadow'), ('none', None)]) dict_keys(['b', 'A', 'c', 'items', 'none']) "
     "dict_values([1, 2, {'x': [1, 2, {'k': 'v'}]}, 'shadow', None])"},
    {"{{ d.get('b') }} {{ d.get('zz') }} {{ d.get('zz', 5) }} {{ d.c.x[2].k }} {{ d['c']['x'][-1]['k'] }} {{ d.c.x.0 "
     "}}",
     "1 None 5 v v 1"},
    {"{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }} {{ l[5:] }} {{ l[-100:100] }} {{ "
     "l[2:0:-1] }} {{ l[:] }}",
     "3 2 [1, 2] [3, 1] [2, 1, 3] [3, 2] [] [3, 1, 2] [2, 1] [3, 1, 2]"},
    {"{{ s[0] }} {{ s[-1] }} {{ s[7:] }} {{ s[::-1] }} {{ s[-5:-1] }} {{ u[1] }} {{ u[::-1] }} {{ u[2:4] }} {{ u[-2:] "
     "}} {{ u[::2] }} {{ e[0] }}|{{ e[:1] }}|",
     "H d World dlroW ,olleH Worl 本 トスキテ語本日 語テ スト 日語キト ||"},
    {"{{ l[::0] }}", "error: ValueError: slice step cannot be zero"},
    {"{{ n[1:] }}", "error: TypeError: 'int' object is not subscriptable"},
    {"{{ l['a'] }}|{{ l[1.5] }}|{{ l[true] }}|{{ s['upper']() }}", "||1|HELLO, WORLD"},
    {"{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ (1,2) == (1,2) }} {{ [1,2] == "
     "(1,2) }} {{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ {'a':1} == {'a':1.0} }}",
     "True True False True True True False True True False True"},
    {"{{ 1 < 'a' }}", "error: TypeError: '<' not supported between instances of 'int' and 'str'"},
    {"{{ none < 1 }}", "error: TypeError: '<' not supported between instances of 'NoneType' and 'int'"},
    {"{{ [1] >= ['a'] }}", "error: TypeError: '>=' not supported between instances of 'int' and 'str'"},
    {"{{ 'ell' in s }} {{ 'x' not in s }} {{ 1 in l }} {{ 9 in l }} {{ 'b' in d }} {{ 'v' in d.c }} {{ 1 in (1,2) }} "
     "{{ 'a' in undefined_thing }} {{ 3 in range(5) }} {{ 2.0 in range(5) }} {{ 7 in range(0, 10, 3) }} {{ 6 in "
     "range(0,10,3) }}",
     "True True True False True False True False True True False True"},
    {"{{ 1 in 'abc' }}", "error: TypeError: 'in <string>' requires string as left operand, not int"},
    {"{{ 1 in 5 }}", "error: TypeError: argument of type 'int' is not iterable"},
    {"{{ 'a' in none }}", "error: TypeError: argument of type 'NoneType' is not iterable"},
    {"{{ not true }} {{ not '' }} {{ true and 'x' }} {{ '' or 'y' }} {{ '' and 'x' }}| {{ 0 or none }} {{ not 1 == 2 "
     "}} {{ not not 3 }}",
     "False True x y | None True True"},
    {"{{ 'a' if true else 'b' }} {{ 'a' if false else 'b' }} {{ 'a' if false }}| {{ 1 if 0 else 2 if 0 else 3 }}",
     "a b | 3"},
    {"{{ ('a' if false).x }}",
     "error: UndefinedError: the inline if-expression on line 1 evaluated to false and no else section was defined."},
    {"{% for i in l %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}", "3,1,2"},
    {"{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ "
     "loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
     "1032TrueFalse310;2121FalseFalse310;3210FalseTrue310;"},
    {"{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.previtem is defined }} {{ "
     "loop.cycle('a','b') }} {{ loop.changed(i > 1) }};{% endfor %}",
     "<3>1 False a True;3<1>2 True b True;1<2> True a True;"},
    {"{% for i in [] %}x{% else %}empty{% endfor %}{% for i in undefined_thing %}x{% else %}undef{% endfor %}",
     "emptyundef"},
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
     "b=1;A=2;c={'x': [1, 2, {'k': 'v'}]};items=shadow;none=None;"},
    {"{% for k in d %}{{ k }} {% endfor %}", "b A c items none "},
    {"{% for c in 'añb' %}[{{ c }}]{% endfor %}", "[a][ñ][b]"},
    {"{% for i in range(10) if i % 2 %}{{ i }}{{ loop.index }}/{{ loop.length }} {% endfor %}",
     "11/5 32/5 53/5 74/5 95/5 "},
    {"{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% "
     "endfor %}",
     "0134"},
    {"{% for a, (b, c) in [(1, (2, 3)), [4, [5, 6]]] %}{{ a }}{{ b }}{{ c }};{% endfor %}", "123;456;"},
    {"{% for a, b in [1] %}{{ a }}{% endfor %}", "error: TypeError: cannot unpack non-iterable int object"},
    {"{% for a, b in [(1,2,3)] %}{{ a }}{% endfor %}", "error: ValueError: too many values to unpack (expected 2)"},
    {"{% for a, b in [(1,)] %}{{ a }}{% endfor %}",
     "error: ValueError: not enough values to unpack (expected 2, got 1)"},
    {"{% for i in 5 %}{% endfor %}", "error: TypeError: 'int' object is not iterable"},
    {"{% for i in none %}{% endfor %}", "error: TypeError: 'NoneType' object is not iterable"},
    {"{% set x = 0 %}{% for i in l %}{{ x }}{% set x = i %}{{ x }} {% endfor %}{{ x }}", "03 01 02 0"},
    {"{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }} {{ ns.b }} "
     "{{ ns.c is defined }} {{ ns }}",
     "7 x False <Namespace {'a': 7, 'b': 'x'}>"},
    {"{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.new = [1] %}{{ ns.new }}", "12[1]"},
    {"{% set x.y = 1 %}", "error: "},
    {"{% set n.y = 1 %}", "error: TemplateRuntimeError: cannot assign attribute on non-namespace object"},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}{% set (q, r) = [8, 9] %}{{ q + r }}", "12(1, 2)17"},
    {"{% set a = b = 3 %}", "error: TemplateSyntaxError: expected token 'end of statement block', got '='"},
    {"{% set x %}  text {{ n }}  {% endset %}[{{ x }}]{% set y | upper | trim %} abc {% endset %}[{{ y }}]",
     "[  text 42  ][ABC]"},
    {"{% if l %}a{% elif n %}b{% else %}c{% endif %}{% if e %}a{% elif n %}b{% else %}c{% endif %}{% if e %}a{% elif z "
     "%}b{% else %}c{% endif %}",
     "abc"},
    {"{% if ff %}{% set q = 1 %}{% endif %}{{ q is defined }}{% if t %}{% set q = 1 %}{% endif %}{{ q }}", "False1"},
    {"{% macro m(a, b=2, c='x') %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=5, a=4) }}{{ "
     "m() }}{{ m }}{{ m.name }}{{ m.arguments }}",
     "(1,2,x)(1,3,x)(4,2,5)(,2,x)<Macro 'm'>m('a', 'b', 'c')"},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
     "error: TypeError: macro 'm' takes not more than 1 argument(s)"},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "error: TypeError: macro 'm' takes no keyword argument 'b'"},
    {"{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}", "1(2, 3){'k': 4}"},
    {"{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "11"},
    {"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "543210"},
    {"{% macro box(t) %}[{{ t }}:{{ caller() }}]{% endmacro %}{% call box('x') %}inner {{ n }}{% endcall %}",
     "[x:inner 42]"},
    {"{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each(l) "
     "%}<{{ i }}{{ x }}>{% endcall %}",
     "<13><21><32>"},
    {"{% macro nope() %}x{% endmacro %}{% call nope() %}y{% endcall %}",
     "error: TypeError: macro 'nope' was invoked with two values for the special caller argument. This is most likely "
     "a bug."},
    {"{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "2"},
    {"{% macro m() %}{{ y }}{% endmacro %}{% for y in [1] %}{{ m() }}{% endfor %}|{% set y = 3 %}{{ m() }}", "|3"},
    {"{% macro m() %}{% set q = 5 %}{{ q }}{% endmacro %}{{ m() }}{{ q is defined }}", "5False"},
    {"{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a is defined }}{{ c is defined }}",
     "1423FalseFalse"},
    {"{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b')|upper %}aaa{% endfilter %}",
     "ABC HELLO, WORLDBBB"},
    {"{% raw %}{{ x }}{% if %}{% endraw %}", "{{ x }}{% if %}"},
    {"{%- raw -%}  {{ y }}  {%- endraw -%}  z", "{{ y }}z"},
    {"{# comment {{ x }} #}a{#- b -#} c {# d -#}   e", "ac e"},
    {"{% generation %}abc{% set inner = 1 %}{% endgeneration %}{{ inner is defined }}", "abcFalse"},
    {"a {%- if t -%}  b  {%- endif -%} c", "abc"},
    {"  {% if t %}  ", "error: "},
    {"  x", "  x"},
    {"  {% endif %}  ", "error: TemplateSyntaxError: Encountered unknown tag 'endif'."},
    {"y", "y"},
    {"a", "a"},
    {"    {%+ if t %}b{% endif +%}", "    b"},
    {"c", "c"},
    {"{{ 'a' -}}   ", "a"},
    {"   {{- 'b' }}", "b"},
    {R"~(line1\n{{ "a\nb\t\\ \"q\" 'p' \x41 \u00e9 \U0001F600 \q" }})~", R"~(line1\na
b	\ "q" 'p' A é 😀 \q)~"},
    {R"~({{ 'it\'s' }} {{ "say \"x\"" }} {{ ['it\'s', "q\"", 'both\'"', '\n', '\x00', '\u200b', 'é', '\U0001F600'] }})~",
     R"~(it's say "x" ["it's", 'q"', 'both\'"', '\n', '\x00', '\u200b', 'é', '😀'])~"},
    {"{{ 'multi", "error: "},
    {"line' }}", "line' }}"},
    {"{{ l|length }} {{ s|length }} {{ u|length }} {{ d|length }} {{ e|length }} {{ undefined_thing|length }} {{ "
     "l|count }}",
     "3 12 7 5 0 0 3"},
    {"{{ n|length }}", "error: TypeError: object of type 'int' has no len()"},
    {"{{ messages|selectattr('role','equalto','user')|length }}",
     "error: TypeError: object of type 'generator' has no len()"},
    {"{{ messages|selectattr('role','equalto','user')|list|length }} {{ "
     "messages|selectattr('role','==','user')|map(attribute='content')|list }} {{ "
     "messages|rejectattr('role','in',['user','tool'])|map(attribute='role')|join(',') }}",
     R"~(1 [' Hi <b> & \'you\' "q" '] system,assistant)~"},
    {"{{ messages|map(attribute='role')|first }} {{ messages|map(attribute='nope')|list }} {{ "
     "messages|map(attribute='nope', default='D')|join }} {{ people|map(attribute='a.c', default='-')|list }}",
     "system [Undefined, Undefined, Undefined, Undefined] DDDD ['X', 'Y', '-']"},
    {"{{ words|map('upper')|list }} {{ words|map('replace','a','o')|join(' ') }} {{ words|select('string')|list }} {{ "
     "[1,2,3,4]|select('odd')|list }} {{ [1,2,3,4]|reject('even')|list }} {{ [0,1,'',none,'a']|select|list }} {{ "
     "[1,5,9]|select('gt', 4)|list }} {{ [1,5,9]|select('divisibleby', 3)|list }}",
     "['BANANA', 'APPLE', 'CHERRY', 'APPLE'] Bonono opple cherry Apple ['Banana', 'apple', 'cherry', 'Apple'] [1, 3] "
     "[1, 3] [1, 'a'] [5, 9] [9]"},
    {"{{ words|map('nofilter')|list }}", "error: TemplateRuntimeError: No filter named 'nofilter'."},
    {"{{ words|select('notest')|list }}", "error: TemplateRuntimeError: No test named 'notest'."},
    {"{{ words|map|list }}", "error: FilterArgumentError: map requires a filter argument"},
    {"{{ words|first }} {{ words|last }} {{ []|first }}| {{ []|last }}| {{ s|first }} {{ s|last }} {{ range(3)|last }} "
     "{{ d|first }}",
     "Banana Apple | | H d 2 b"},
    {"{{ undefined_thing|first }}|{{ (words|map('upper'))|last }}",
     "error: TypeError: 'generator' object is not reversible"},
    {"{{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ words|sort(reverse=true) }} {{ l|sort }} {{ "
     "people|sort(attribute='age')|map(attribute='name')|list }} {{ people|sort(attribute='age,name', "
     "reverse=true)|map(attribute='name')|list }}",
     "['apple', 'Apple', 'Banana', 'cherry'] ['Apple', 'Banana', 'apple', 'cherry'] ['cherry', 'Banana', 'apple', "
     "'Apple'] [1, 2, 3] ['alice', 'Bob', 'Carl'] ['Carl', 'Bob', 'alice']"},
    {"{{ [1,'a']|sort }}", "error: TypeError: '<' not supported between instances of 'str' and 'int'"},
    {"{{ d|dictsort }}", "[('A', 2), ('b', 1), ('c', {'x': [1, 2, {'k': 'v'}]}), ('items', 'shadow'), ('none', None)]"},
    {"{{ {'b':1,'A':2,'c':0}|dictsort }} {{ {'b':1,'A':2,'c':0}|dictsort(true) }} {{ "
     "{'b':1,'A':2,'c':0}|dictsort(false,'value') }} {{ {'b':1,'A':2}|dictsort(reverse=true) }}",
     "[('A', 2), ('b', 1), ('c', 0)] [('A', 2), ('b', 1), ('c', 0)] [('c', 0), ('b', 1), ('A', 2)] [('b', 1), ('A', "
     "2)]"},
    {"{{ words|unique|list }} {{ words|unique(true)|list }} {{ [1,1.0,true,2]|unique|list }} {{ words|min }} {{ "
     "words|max }} {{ l|min }} {{ l|max }} {{ []|max }}| {{ people|max(attribute='age') }} {{ "
     "people|min(attribute='age') }}",
     "['Banana', 'apple', 'cherry'] ['Banana', 'apple', 'cherry', 'Apple'] [1, 2] apple cherry 1 3 | {'name': 'Bob', "
     "'age': 30, 'a': {'c': 'X'}} {'name': 'alice', 'age': 25, 'a': {'c': 'Y'}}"},
    {"{{ l|sum }} {{ people|sum(attribute='age') }} {{ l|sum(start=10) }} {{ []|sum }} {{ [1.5,2]|sum }}",
     "6 85 16 0 3.5"},
    {"{{ ['a']|sum }}", "error: TypeError: unsupported operand type(s) for +: 'int' and 'str'"},
    {"{{ l|join }} {{ l|join(', ') }} {{ words|join('|') }} {{ people|join('; ', attribute='name') }} {{ "
     "[none,true,1.5]|join(',') }} {{ d|join }} {{ 'abc'|join('-') }}",
     "312 3, 1, 2 Banana|apple|cherry|Apple Bob; alice; Carl None,True,1.5 bAcitemsnone a-b-c"},
    {"{{ l|reverse|list }} {{ s|reverse }} {{ u|reverse }} {{ d|reverse|list }}",
     "[2, 1, 3] dlroW ,olleH トスキテ語本日 ['none', 'items', 'c', 'A', 'b']"},
    {R"~({{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ '\n\t x \u00a0\u3000'|trim }}| {{ 5|trim }})~", "x| a x| 5"},
    {R"~({{ s|upper }} {{ s|lower }} {{ 'hello world-foo (bar) o\'neil'|title }} {{ 'hELLO wORLD'|capitalize }} {{ 'ß straße ŉ ﬁ'|upper }} {{ 'ΑΣ ΑΣΑ'|lower }} {{ 'éCOLE'|capitalize }} {{ 'they\'re bill\'s'.title() }} {{ 'ǆ'.title() }} {{ 'ÀÉ'|lower }})~",
     "HELLO, WORLD hello, world Hello World-Foo (Bar) O'neil Hello world SS STRASSE ʼN FI ας ασα École They'Re Bill'S "
     "ǅ àé"},
    {"{{ s|replace('o','0') }} {{ s|replace('o','0',1) }} {{ 'aaa'|replace('a','b',2) }} {{ 'abc'.replace('','-') }} "
     "{{ 'abc'.replace('','-',2) }} {{ 5|replace(5,6) }} {{ 'é'.replace('','-') }}",
     "Hell0, W0rld Hell0, World bba -a-b-c- -a-bc 6 -é-"},
    {"{{ z|default('d') }} {{ undefined_thing|default('d') }} {{ undefined_thing|d('d') }} {{ e|default('d', true) }} "
     "{{ z|default('d', boolean=true) }} {{ undefined_thing|default }}| {{ d.nope|default('x') }}",
     "None d d d d | x"},
    {"{{ '5'|int }} {{ '5.7'|int }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ '0x1f'|int(base=16) }} {{ 'ff'|int(0,16) }} {{ "
     "3.9|int }} {{ -3.9|int }} {{ true|int }} {{ none|int }} {{ ' 42 '|int }} {{ '1_000'|int }} {{ '1e3'|int }} {{ "
     "[1]|int }}",
     "5 5 0 9 31 255 3 -3 1 0 42 1000 1000 0"},
    {"{{ undefined_thing|int }}", "error: UndefinedError: 'undefined_thing' is undefined"},
    {"{{ '5.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ '1e5'|float }} {{ 'inf'|float }} {{ "
     "'-nan'|float }} {{ none|float }} {{ '.5'|float }} {{ '5.'|float }}",
     "5.5 0.0 1.5 3.0 100000.0 inf nan 0.0 0.5 5.0"},
    {"{{ 5|string }} {{ none|string }} {{ [1,'a']|string }} {{ 1.0|string }} {{ s|list }} {{ d|list }} {{ (1,2)|list "
     "}} {{ range(3)|list }}",
     "5 None [1, 'a'] 1.0 ['H', 'e', 'l', 'l', 'o', ',', ' ', 'W', 'o', 'r', 'l', 'd'] ['b', 'A', 'c', 'items', "
     "'none'] [1, 2] [0, 1, 2]"},
    {"{{ 5|list }}", "error: TypeError: 'int' object is not iterable"},
    {"{{ -5|abs }} {{ -5.5|abs }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.561|round(2,'ceil') }} {{ "
     "2.569|round(2,'floor') }} {{ 42|round }} {{ 1234|round(-2) }} {{ 1250|round(-2) }} {{ 1350|round(-2) }} {{ "
     "1234.5|round(-2) }} {{ 0.15|round(1) }} {{ 2.675|round(2) }} {{ 1.5|round|int }}",
     "5 5.5 2.0 4.0 2.57 2.57 2.56 42 1200 1200 1400 1200.0 0.1 2.67 2"},
    {"{{ 'a'|round }}", "error: TypeError: type str doesn't define __round__ method"},
    {"{{ 'a'|abs }}", "error: TypeError: bad operand type for abs(): 'str'"},
    {R"~({{ 'x < y & z > "w" \'v\''|escape }} {{ '<'|e }} {{ ('<'|e) + '<' }} {{ '<' ~ ('<'|safe) }} {{ '<' + ('<b>'|safe) }} {{ ('<'|safe)|escape }} {{ 5|escape }} {{ ('<'|safe)|forceescape }} {{ '<'|safe is escaped }} {{ '<' is escaped }} {{ ['<'|safe] }})~",
     "x &lt; y &amp; z &gt; &#34;w&#34; &#39;v&#39; &lt; &lt;&lt; << &lt;<b> < 5 &lt; True False [Markup('<')]"},
    {R"~({{ 'a\nb\n\nc'|indent }} {{ 'a\nb\n\nc'|indent(2, true) }} {{ 'a\nb\n\nc\n'|indent(2, true, true) }} {{ 'a\nb'|indent('>>') }} {{ 'a'|indent(first=true) }})~",
     R"~(a
    b

    c   a
  b

  c   a
  b
  
  c
   a
>>b     a)~"},
    {"{{ 5|indent }}", "error: TypeError: unsupported operand type(s) for +=: 'int' and 'str'"},
    {"{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) "
     "}} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'foobarbazqux'|truncate(5, leeway=0) }}",
     "foo... foo ba... foo bar baz qux foo bar... fo..."},
    {"{{ 'a b  c-d'|wordcount }} {{ 'abc'|center(9) }}| {{ 'abc'|center(8) }}| {{ 'ab'|center(5) }}| {{ "
     "'abcd'.center(7,'*') }} {{ 'abc'.center(6,'*') }}",
     "4    abc   |   abc   |   ab | **abcd* *abc**"},
    {"{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3,4,5]|batch(2,0)|list }} {{ [1,2,3,4,5]|slice(2)|list }} {{ "
     "[1,2,3,4,5]|slice(3,'x')|list }}",
     "[[1, 2], [3, 4], [5]] [[1, 2], [3, 4], [5, 0]] [[1, 2, 3], [4, 5]] [[1, 2], [3, 4], [5, 'x']]"},
    {"{{ people|groupby('age') }} {% for g in people|groupby('age') %}{{ g.grouper }}:{{ "
     "g.list|map(attribute='name')|join(',') }};{% endfor %}{% for k, v in people|groupby('age') %}{{ k }}{{ v|length "
     "}}{% endfor %}",
     "[(25, [{'name': 'alice', 'age': 25, 'a': {'c': 'Y'}}]), (30, [{'name': 'Bob', 'age': 30, 'a': {'c': 'X'}}, "
     "{'name': 'Carl', 'age': 30}])] 25:alice;30:Bob,Carl;251302"},
    {"{{ 'a b/c?d=é&'|urlencode }} {{ {'a b':'c/d','e':1}|urlencode }} {{ [('a',1)]|urlencode }}",
     "a%20b/c%3Fd%3D%C3%A9%26 a+b=c%2Fd&e=1 a=1"},
    {"{{ d|items|list }} {{ undefined_thing|items|list }} {% for k, v in d|items %}{{ k }}{% endfor %}",
     "[('b', 1), ('A', 2), ('c', {'x': [1, 2, {'k': 'v'}]}), ('items', 'shadow'), ('none', None)] [] bAcitemsnone"},
    {"{{ z|items|list }}", "error: TypeError: Can only get item pairs from a mapping."},
    {"{{ d|attr('keys') is callable }} {{ d|attr('b') is defined }} {{ 'x'|attr('upper') is defined }}",
     "True False True"},
    {"{{ d|tojson }}", R"~({"b": 1, "A": 2, "c": {"x": [1, 2, {"k": "v"}]}, "items": "shadow", "none": null})~"},
    {"{{ nested|tojson(indent=2) }}", R"~([
  [
    1,
    [
      2,
      [
        3
      ]
    ]
  ],
  {
    "a": {
      "b": []
    }
  },
  {}
])~"},
    {R"~({{ nested|tojson(indent=0) }} {{ {'b':1,'a':2}|tojson(sort_keys=true) }} {{ {'a':[1,2]}|tojson(separators=(',',':')) }} {{ {'a':1}|tojson(indent='--') }} {{ u|tojson(ensure_ascii=true) }} {{ '\U0001F600'|tojson(ensure_ascii=true) }} {{ u|tojson }} {{ (1,2)|tojson }} {{ {1:2, none:3, true:4, 1.5:5}|tojson }})~",
     R"~([
[
1,
[
2,
[
3
]
]
],
{
"a": {
"b": []
}
},
{}
] {"a": 2, "b": 1} {"a":[1,2]} {
--"a": 1
} "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8" "\ud83d\ude00" "日本語テキスト" [1, 2] {"1": 4, "null": 3, "1.5": 5})~"},
    {"{{ floats|tojson }} {{ floats }} {{ huge }} {{ huge|tojson }} {{ [huge] }} {{ big }} {{ small }}",
     "[0.1, 1.0, 100.0, 1000000000000000.0, 1e+16, 1e+17, 123456789.123, 0.0001, 1e-05, 5e-324, "
     "1.7976931348623157e+308, -0.0, 0.30000000000000004] [0.1, 1.0, 100.0, 1000000000000000.0, 1e+16, 1e+17, "
     "123456789.123, 0.0001, 1e-05, 5e-324, 1.7976931348623157e+308, -0.0, 0.30000000000000004] 18446744073709551615 "
     "18446744073709551615 [18446744073709551615] 1e+22 1e-07"},
    {"{{ messages|tojson }}",
     R"~([{"role": "system", "content": "Be terse."}, {"role": "user", "content": " Hi <b> & 'you' \"q\" "}, {"role": "assistant", "content": null, "tool_calls": [{"id": "call00001", "function": {"name": "f", "arguments": {"x": 1, "y": [1.5, true, null], "z": "é\n\t "}}}]}, {"role": "tool", "content": "{}"}])~"},
    {"{{ messages }}",
     R"~([{'role': 'system', 'content': 'Be terse.'}, {'role': 'user', 'content': ' Hi <b> & \'you\' "q" '}, {'role': 'assistant', 'content': None, 'tool_calls': [{'id': 'call00001', 'function': {'name': 'f', 'arguments': {'x': 1, 'y': [1.5, True, None], 'z': 'é\n\t\u2028'}}}]}, {'role': 'tool', 'content': '{}'}])~"},
    {R"~({{ "\"\\/\b\f\n\r\t\x01\x7f\u2028<>&'"|tojson }} {{ tabs|tojson }} {{ ''|tojson }} {{ none|tojson }} {{ true|tojson }} {{ 1.0|tojson }})~",
     R"~("\"\\/\b\f\n\r\t\u0001 <>&'" "a\tb\nc\r\nd\u000be" "" null true 1.0)~"},
    {"{{ undefined_thing|tojson }}", "error: TypeError: Object of type Undefined is not JSON serializable"},
    {"{{ range(3)|tojson }}", "error: TypeError: Object of type range is not JSON serializable"},
    {"{{ d.items()|tojson }}", "error: TypeError: Object of type dict_items is not JSON serializable"},
    {"{{ namespace()|tojson }}", "error: TypeError: Object of type Namespace is not JSON serializable"},
    {"{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ s.swapcase() }} {{ s.capitalize() }} {{ s.startswith('Hell') "
     "}} {{ s.endswith('ld') }} {{ s.startswith(('x','H')) }} {{ s.startswith('World', 7) }} {{ s.endswith('Hello', 0, "
     "5) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ "
     "s.count('') }} {{ u.find('語') }}",
     "HELLO, WORLD hello, world Hello, World hELLO, wORLD Hello, world True True True True True 4 8 -1 7 3 13 2"},
    {"{{ s.index('zz') }}", "error: ValueError: substring not found"},
    {R"~({{ s.split() }} {{ s.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(' ') }} {{ ' a  b c '.split(none, 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a\n\nb\r\nc'.splitlines() }} {{ 'a\nb\n'.splitlines(true) }} {{ 'x'.split('x') }} {{ 'abcabc'.split('bc') }} {{ 'a,b,c'.split(sep=',', maxsplit=1) }})~",
     R"~(['Hello,', 'World'] ['Hello', ' World'] ['a', 'b,c'] ['a,b', 'c'] ['a', 'b', 'c'] ['', 'a', '', 'b', 'c', ''] ['a', 'b c '] [' a  b', 'c'] [] [''] ['a', '', 'b', 'c'] ['a\n', 'b\n'] ['', ''] ['a', 'a', ''] ['a', 'b,c'])~"},
    {"{{ s.split('') }}", "error: ValueError: empty separator"},
    {"{{ s.split(1) }}", "error: "},
    {"{{ 'abcabc'.partition('c') }} {{ 'abcabc'.rpartition('c') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') "
     "}}",
     "('ab', 'c', 'abc') ('abcab', 'c', '') ('abc', '', '') ('', '', 'abc')"},
    {R"~({{ '  x '.strip() }}|{{ '  x '.lstrip() }}|{{ '  x '.rstrip() }}|{{ 'xyax'.strip('xy') }}|{{ '\n\na\n'.strip('\n') }}|{{ 'é́é'.strip('é') }}|{{ 'abc'.removeprefix('ab') }}|{{ 'abc'.removesuffix('bc') }}|{{ 'abc'.removesuffix('x') }})~",
     "x|x |  x|a|a|́|c|a|abc"},
    {"{{ 'a'.isalpha() }} {{ '1'.isdigit() }} {{ '1a'.isalnum() }} {{ ' '.isspace() }} {{ ''.isspace() }} {{ "
     "'aB'.islower() }} {{ 'ab1'.islower() }} {{ 'AB'.isupper() }} {{ '1'.isupper() }} {{ 'é'.isalpha() }} {{ "
     "'²'.isdecimal() }}",
     "True True True True False False True True False True False"},
    {R"~({{ ','.join(['a','b']) }} {{ 'x'.join('abc') }} {{ 'ab'.ljust(4) }}| {{ 'ab'.rjust(4,'*') }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'a\tb'.expandtabs(4) }})~",
     "a,b axbxc ab  | **ab 00042 -0042 a   b"},
    {"{{ ','.join([1]) }}", "error: TypeError: sequence item 0: expected str instance, int found"},
    {"{{ s.nomethod() }}", "error: UndefinedError: 'str object' has no attribute 'nomethod'"},
    {"{{ l.append(1) }}", "error: SecurityError: access to attribute 'append' of 'list' object is unsafe."},
    {"{{ d.update({'x':1}) }}", "error: SecurityError: access to attribute 'update' of 'dict' object is unsafe."},
    {"{{ d.pop('b') }}", "error: SecurityError: access to attribute 'pop' of 'dict' object is unsafe."},
    {"{{ l.index(2) }} {{ l.count(1) }} {{ (1,2,1).count(1) }} {{ l.copy() }} {{ d.copy() == d }} {{ 5.0.is_integer() "
     "}}",
     "2 1 2 [3, 1, 2] True True"},
    {"{{ l.index(99) }}", "error: ValueError: 99 is not in list"},
    {"{{ '%s is %d and %.2f %5s|%-5s|%05d %x %r %%' % ('a', 5, 1.567, 'b', 'c', 42, 255, 'q') }} {{ '%s' % 5 }} {{ "
     "'%(a)s' % {'a': 1} }} {{ '%+d % d' % (5, 5) }} {{ '%e %g' % (12345.678, 0.0001) }} {{ '%c' % 'x' }} {{ '%5.1f|' "
     "% 3.14159 }} {{ '%s' % none }} {{ '%s' % [1,2] }} {{ '%i' % 3.9 }}",
     "a is 5 and 1.57     b|c    |00042 ff 'q' % 5 1 +5  5 1.234568e+04 0.0001 x   3.1| None [1, 2] 3"},
    {"{{ '%d' % 'a' }}", "error: TypeError: %d format: a real number is required, not str"},
    {"{{ '%s %s' % 'a' }}", "error: TypeError: not enough arguments for format string"},
    {"{{ '%s' % ('a','b') }}", "error: TypeError: not all arguments converted during string formatting"},
    {"{{ '%s-%s'|format('a', 1) }} {{ '%(x)s'|format(x=3) }}", "a-1 3"},
    {"{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format('a', 'b') }} {{ '{x}'.format(x=5) }} {{ "
     "'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a','b','c','d') }} {{ '{:05d} {:.2f} {:,} {:x} {:+}'.format(42, 3.14159, "
     "1234567, 255, 5) }} {{ '{{}}'.format() }} {{ '{0[a]} {0[b][1]}'.format({'a': 1, 'b': [1,2]}) }} {{ "
     "'{!r}'.format('x') }} {{ '{:.3}'.format('abcdef') }} {{ '{:%}'.format(0.5) }} {{ '{:e}'.format(1234.5) }} {{ "
     "'{:g}'.format(1e10) }}",
     "1 a b a 5     a|b    |  c  |***d*** 00042 3.14 1,234,567 ff +5 {} 1 2 'x' abc 50.000000% 1.234500e+03 1e+10"},
    {"{{ '{} {}'.format(1) }}", "error: "},
    {"{{ '{x}'.format() }}", "error: KeyError: 'x'"},
    {"{{ 1 is odd }} {{ 2 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ n is defined }} {{ nope is "
     "defined }} {{ nope is undefined }} {{ z is none }} {{ z is not none }} {{ t is boolean }} {{ t is true }} {{ ff "
     "is false }} {{ 1 is true }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is number }} {{ "
     "'s' is number }} {{ 's' is string }} {{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ s is sequence "
     "}} {{ d is sequence }} {{ 5 is sequence }} {{ l is iterable }} {{ 5 is iterable }} {{ s is iterable }} {{ z is "
     "iterable }} {{ d.items() is sequence }} {{ l|map('upper') is iterable }} {{ l|map('upper') is sequence }} {{ "
     "range is callable }} {{ s is callable }} {{ nope is sequence }} {{ nope is iterable }} {{ nope is string }}",
     "True True True False True False True True False True True True False True False True True False True True False "
     "True True True False True False True False False True False True False True True False"},
    {"{{ 1 is eq 1 }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is gt 1 }} {{ 1 is le 1 }} {{ 1 is ge 1 }} {{ 1 is equalto "
     "1 }} {{ 1 is in [1] }} {{ 1 is not in [1] }} {{ z is sameas none }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ "
     "'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ l is sameas l }} {{ 1 is lessthan 2 }} {{ 2 "
     "is greaterthan 1 }} {{ 5 is not odd }}",
     "True True True True True True True True False True True True True False True True True True False"},
    {"{{ 'a' is odd }}", "error: TypeError: not all arguments converted during string formatting"},
    {"{{ x is nosuchtest }}", "error: "},
    {"{{ x|nosuchfilter }}", "error: "},
    {"{% if false %}{{ x|nosuchfilter }}{{ y is nosuchtest }}{% endif %}ok", "ok"},
    {"{% if true %}{{ x|nosuchfilter }}{% endif %}", "error: "},
    {"{{ 'a' if true else (x|nosuchfilter) }}", "a"},
    {"{{ (x|nosuchfilter) if false else 'b' }}", "b"},
    {"{% for i in [1] %}{{ i|nosuchfilter }}{% endfor %}", "error: "},
    {"{% include 'x' %}", "error: "},
    {"{% do l %}", "error: "},
    {"{% unknown %}", "error: "},
    {"{% if %}", "error: TemplateSyntaxError: Expected an expression, got 'end of statement block'"},
    {"{% if true %}", "error: "},
    {"{% endif %}", "error: TemplateSyntaxError: Encountered unknown tag 'endif'."},
    {"{% for %}", "error: "},
    {"{% for x in l %}", "error: "},
    {"{% else %}", "error: TemplateSyntaxError: Encountered unknown tag 'else'."},
    {"{{ }}", "error: TemplateSyntaxError: Expected an expression, got 'end of print statement'"},
    {"{{ 1 + }}", "error: TemplateSyntaxError: unexpected 'end of print statement'"},
    {"{{ (1 }}", "error: TemplateSyntaxError: unexpected '}', expected ')'"},
    {"{{ [1, }}", "error: TemplateSyntaxError: unexpected '}', expected ']'"},
    {"{{ 1) }}", "error: TemplateSyntaxError: unexpected ')'"},
    {"{{ 'abc }}", "error: "},
    {"{% set %}", "error: "},
    {"{% set 1 = 2 %}", "error: "},
    {"{% set true = 2 %}", "error: "},
    {"{{ a b }}", "error: TemplateSyntaxError: expected token 'end of print statement', got 'b'"},
    {"{% raw %} x", "error: TemplateSyntaxError: Missing end of raw directive"},
    {"{# x", "error: TemplateSyntaxError: Missing end of comment tag"},
    {"{{ x", "error: "},
    {"{% if x", "error: "},
    {"{{ ! }}", "error: "},
    {"{{ x | }}", "error: TemplateSyntaxError: expected token 'name', got 'end of print statement'"},
    {"{{ x is }}", "error: TemplateSyntaxError: expected token 'name', got 'end of print statement'"},
    {"{% macro m(a=1, b) %}{% endmacro %}",
     "error: TemplateSyntaxError: non-default argument follows default argument"},
    {"{% macro %}{% endmacro %}", "error: TemplateSyntaxError: expected token 'name', got 'end of statement block'"},
    {"{% break %}", "error: "},
    {"{{ f(1)(2) }}", "error: TypeError: 'float' object is not callable"},
    {"{{ n() }}", "error: TypeError: 'int' object is not callable"},
    {"{{ d.b() }}", "error: TypeError: 'int' object is not callable"},
    {"{{ raise_exception('no ' ~ n) }}", "error: TemplateError: no 42"},
    {"{{ range(3) }} {{ range(1,4)|list }} {{ range(10,0,-3)|list }} {{ range(0) }} {{ range(5)[1:3] }} {{ "
     "range(5)[-1] }} {{ range(5)|sum }} {{ range(2,2)|list }} {{ range(0,10,2)|length }}",
     "range(0, 3) [1, 2, 3] [10, 7, 4, 1] range(0, 0) range(1, 3) 4 10 [] 5"},
    {"{{ range(1000000) }}",
     "error: OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."},
    {"{{ range(0,5,0) }}", "error: ValueError: range() arg 3 must not be zero"},
    {"{{ range() }}", "error: TypeError: range expected at least 1 argument, got 0"},
    {"{{ range('a') }}", "error: TypeError: 'str' object cannot be interpreted as an integer"},
    {"{{ dict(a=1, b='x') }} {{ dict({'a':1}, b=2) }} {{ dict([('x', 1)]) }} {{ {'a': 1, 'a': 2} }} {{ {} }} {{ {1: "
     "'a', (1,2): 'b'} }} {{ () }} {{ (1,) }} {{ [] }} {{ {'a': [1, {'b': none}]} }}",
     "{'a': 1, 'b': 'x'} {'a': 1, 'b': 2} {'x': 1} {'a': 2} {} {1: 'a', (1, 2): 'b'} () (1,) [] {'a': [1, {'b': "
     "None}]}"},
    {"{{ {[1]: 2} }}", "error: TypeError: unhashable type: 'list'"},
    {"{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ "
     "c.current }}{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b",
     "ababNoneaa, b"},
    {"{% for i in [1,[2,[3]]] recursive %}{% if i is iterable and i is not string %}({{ loop(i) }}){% else %}{{ i "
     "}}@{{ loop.depth }}{% endif %}{% endfor %}",
     "1@1(2@2(3@3))"},
    {"{% for i in [1] %}{{ loop(i) }}{% endfor %}",
     "error: TypeError: The loop must have the 'recursive' marker to be called recursively."},
    {"{% for i in l %}{% for j in l %}{{ loop.index }}{{ i }}{% endfor %}{{ loop.index }}{% endfor %}",
     "132333111213121222323"},
    {"{% set g = messages|map(attribute='role') %}{{ g|list }}{{ g|list }}{{ 'y' if g else 'n' }}",
     "['system', 'user', 'assistant', 'tool'][]y"},
    {"{% set g = l|select('gt', 1) %}{% for x in g %}{{ x }}{{ loop.last }}{% endfor %}{{ g|first is defined }}",
     "3False2TrueFalse"},
    {"{{ (words|map('upper'))[0] }}|{{ (words|select('string'))|join }}", "|BananaapplecherryApple"},
    {"{{ m(*[1,2]) }}", "error: UndefinedError: 'm' is undefined"},
    {"{% macro m(a,b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1,2]) }}{{ m(**{'a':3,'b':4}) }}{{ m(1, *[2]) }}", "123412"},
    {"{{ 'a'.__class__ }}|{{ s._x }}", "|"},
    {"{{ 'a'.__class__.__mro__ }}", "error: "},
    {"{% set loop = 5 %}{{ loop }}{% for i in [1] %}{{ loop.index }}{% endfor %}{{ loop }}", "515"},
    {"{% for i in l %}{% set i = 9 %}{{ i }}{% endfor %}", "999"},
    {"{% for message in messages %}{% set content = message.content if message.content is string else '' %}{{ "
     "message.role }}:{{ content|trim }}|{% endfor %}",
     R"~(system:Be terse.|user:Hi <b> & 'you' "q"|assistant:|tool:{}|)~"},
    {"{{ messages[0]['role'] == 'system' and messages[0].content }} {{ messages[1:]|length }} {{ messages[-1].role }} "
     "{{ messages[::-1]|map(attribute='role')|list }} {{ messages[2].tool_calls[0].function.arguments.y[0] }}",
     "Be terse. 3 tool ['tool', 'assistant', 'user', 'system'] 1.5"},
    {R"~({{ '</think>' in s }} {{ 'a</think>b'.split('</think>')[-1].lstrip('\n') }} {{ 'x'.split('y')[0].rstrip('\n').split('<think>')[-1] }})~",
     "False b x"},
    {"{{ l if l is defined and l else [] }} {{ (l or [])|length }} {{ not l is none }} {{ l is not none and l|length > "
     "0 }}",
     "[3, 1, 2] 3 True True"},
    {"{{ -l }}", "error: TypeError: bad operand type for unary -: 'list'"},
    {"{{ -'a' }} ", "error: TypeError: bad operand type for unary -: 'str'"},
    {"{{ +true }} {{ -true }} {{ --5 }} {{ - 5|abs }} {{ -5|string }} {{ not 5|string }} {{ 2 + 3|string|length }}",
     "1 -1 5 5 -5 False 3"},
    {"{{ 1.5 * 2 }} {{ 3 * 1.0 }} {{ true + true }} {{ 1 - 0.9 }} {{ 1e308 * 10 }} {{ -1e308 * 10 }} {{ 10 ** 15 }} {{ "
     "10.0 ** 20 }} {{ 5 % 3.0 }}",
     "3.0 3.0 2 0.09999999999999998 inf -inf 1000000000000000 1e+20 2.0"},
    {"{{ 'ab' 'cd'|upper }} {{ ('ab' ~ 'cd')|upper }} {{ 'ab' ~ 'cd'|upper }} {{ 1 ~ 2 + 3 }} {{ 'a' + 'b' ~ 'c' }} {{ "
     "1 + 2 ~ 3 }}",
     R"~(error: TypeError: can only concatenate str (not "int") to str)~"},
    {"{{ [1,2,3][1] }} {{ 'abc'[1] }} {{ {'a':1}['a'] }} {{ (1,2)[0] }} {{ [[1]][0][0] }} {{ {'a':{'b':2}}.a.b }}",
     "2 b 1 1 1 2"},
    {"{{ l|sort|first }} {{ l | sort | last }} {{ l|map('string')|join('+') }} {{ l|map('multiply')|list }}",
     "error: TemplateRuntimeError: No filter named 'multiply'."},
    {R"~({{ s|select('in', 'Hlo')|list }} {{ 'a,b'|replace(',', '\n') }} {{ s[:5] + '...' if s|length > 5 else s }})~",
     R"~(['H', 'l', 'l', 'o', 'o', 'l'] a
b Hello...)~"},
    {"{{ 'x' if d.b is defined and d.b == 1 }} {{ d.c.x|length }} {{ d.c is mapping }} {{ d.c.x is iterable and d.c.x "
     "is not mapping and d.c.x is not string }}",
     "x 3 True True"},
    {"{%- for tool in undefined_thing or [] %}x{% endfor -%} end", "end"},
    {"{%- set a = 1 -%}", ""},
    {"{%- set b = 2 -%}", ""},
    {"{{ a }}{{ b }}", ""},
    {"{% if true -%}", "error: "},
    {"   x", "   x"},
    {"{%- endif %}", "error: TemplateSyntaxError: Encountered unknown tag 'endif'."},
    {"tail", "tail"},
    {R"~({{ "a" }})~", "a"},
    {R"~({{ "b" }})~", "b"},
    {"{% if true %}", "error: "},
    {R"~({{ "c" }})~", "c"},
    {"{% endif %}", "error: TemplateSyntaxError: Encountered unknown tag 'endif'."},
    {"   {# comment #}   ", "   "},
    {"after", "after"},
    {"	{% if true %}tabbed{% endif %}	", "tabbed	"},
    {"{{ 1 }}   {% if true %}", "error: "},
    {"z", "z"},
    {"{%if true%}a{%endif%}{{1}}{{'x'}}{#c#}", "a1x"},
    {R"~({{ {'a': {'b': 1}}}}|{{ {"x":{}}}})~", "{'a': {'b': 1}}|{'x': {}}"},
    {"{% set x = {'a': 1,} %}{{ x }}{% set y = [1,2,] %}{{ y }}{{ (1,2,) }}", "{'a': 1}[1, 2](1, 2)"},
    {"{{ d.c['x'][2]['k'] }} {{ d . b }} {{ l [0] }} {{ s . upper ( ) }}", "v 1 3 HELLO, WORLD"},
    {"{% for k,v in {'x':1}.items() %}{{k}}{{v}}{% endfor %}", "x1"},
    {"{{ [1,2]|map('string') | list }}", "['1', '2']"},
    {"{{ '' if not messages else messages[0].content }}", "Be terse."},
    {"{% set x = none %}{{ x }}{{ x is none }}{{ x or 'd' }}{% set x = x|default('e', true) %}{{ x }}", "NoneTruede"},
    {"{{ [1, 2] | first + 1 }}", "2"},
    {"{{ 5 | divisibleby(2) }}", "error: "},
    {"{% import 'x' as y %}", "error: "},
    {"{{ 'é' < 'z' }} {{ 'Z' < 'a' }} {{ '10' < '9' }}", "False True True"},
    {"{{ messages[5] }}|{{ messages[5].role }}", "error: UndefinedError: list object has no element 5"},
    {"{{ messages.role }}|{{ messages.0.role }}", "|system"},
    {"{{ tools }} {{ documents }} {{ add_generation_prompt }} {{ tools is defined }} {{ tools is none }}",
     "None None False True True"},
    {"{{ (d|tojson) is string }} {{ d|tojson|length }} {{ d|string|length }} {{ l|tojson|replace(' ', '') }}",
     "True 81 81 [3,1,2]"},
    {"{{ 1|default(2)|string ~ 'x' }} {{ 'abc'|list|join('.') }} {{ 'b'|string in ['a','b'] }}", "1x a.b.c True"},
    {"{{ l|list|string }} {{ l|first|string|length }}", "[3, 1, 2] 1"},
    {R"~({{ s | replace("World", 'x') | upper }})~", "HELLO, X"},
    {"{{ x.y.z is defined }}", "error: UndefinedError: 'x' is undefined"},
    {"{{ d.x.y is defined }}", "error: UndefinedError: 'dict object' has no attribute 'x'"},
    {"{{ (d.x is defined and d.x.y) or 'safe' }}", "safe"},
    {"{% set messages = messages[1:] %}{{ messages|length }}{% for m in messages if m.role != 'tool' %}{{ m.role }}{{ "
     "loop.last }}{% endfor %}",
     "3userFalseassistantTrue"},
    {"{% for m in messages %}{% if loop.first and m.role == 'system' %}{% continue %}{% endif %}{{ m.role }}{% if "
     "loop.index == 3 %}{% break %}{% endif %}{% else %}none{% endfor %}",
     "userassistant"},
    {R"~(  {% if t %}  
  x
  {% endif %}  
y)~",
     R"~(  
  x
  
y)~"},
    {R"~(a
    {%+ if t %}b{% endif +%}

c
)~",
     R"~(a
    b

c)~"},
    {R"~({{ 'a' -}}   
   {{- 'b' }}

)~",
     R"~(ab
)~"},
    {R"~(x
{%- if true -%}
   x
{%- endif %}

tail
)~",
     R"~(xx
tail)~"},
    {R"~({{ 'a' }}
{{ 'b' }}

{% if true %}
{{ 'c' }}
{% endif %}
   {# comment #}   
after
	{% if true %}tabbed{% endif %}	
)~",
     R"~(a
b

c
   
after
tabbed	)~"},
    {"a\015\012b\015c\012{{ 'x\015\012y' }}\015\012", R"~(a
b
c
x
y)~"},
    {R"~({% raw %}
  {{ x }}
{% endraw %}
z)~",
     R"~(
  {{ x }}
z)~"},
    {"a {% raw -%}  b  {%- endraw %}  c", "a b  c"},
    {R"~({#- x -#}

 a {#+ y +#}
 b)~",
     R"~(a 
 b)~"},
    {R"~({% for i in [1,2] %}
  {{ i }}
{% endfor %}
end)~",
     R"~(  1
  2
end)~"},
    {R"~({% for i in [1,2] -%}
  {{ i }}
{%- endfor %}
end)~",
     "12end"},
    {R"~(   {{ 1 }}
   {%- if true %} a {% endif -%}   
 b)~",
     "   1 a b"},
    {R"~({% set x = 'a
b' %}{{ x }})~",
     R"~(a
b)~"},
    {R"~(

{% if true %}

x{% endif %}


)~",
     R"~(


x
)~"},
    {R"~({{ nope.x }}
)~",
     "error: UndefinedError: 'nope' is undefined"},
    {R"~(

{{ nope.x }})~",
     "error: UndefinedError: 'nope' is undefined"},
    {R"~(a
b
{{ 1 +
 'a' }}
)~",
     "error: TypeError: unsupported operand type(s) for +: 'int' and 'str'"},
    {R"~({% macro m() %}

{{ raise_exception('deep') }}{% endmacro %}
{{ m() }})~",
     "error: TemplateError: deep"},
    {R"~({%- macro a(x) -%}
 {{ x }} 
{%- endmacro -%}
 [{{ a(1) }}] )~",
     "[1] "},
};

TEST(ChatTemplate, AgreesWithJinja2) {
  const Json variables = Json::parse(kVariables);
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.source);
    const std::string expected = c.expected;
    const auto compiled = ChatTemplate::compile(c.source);
    auto text = compiled.ok() ? compiled->render(variables, 1768478400) : Result<std::string>(compiled.status());
    if (!expected.starts_with("error: ")) {
      ASSERT_TRUE(text.ok()) << text.status().text();
      EXPECT_EQ(*text, expected);
    } else {
      ASSERT_FALSE(text.ok()) << *text;
      EXPECT_TRUE(text.status().text().starts_with("line ")) << text.status().text();
      EXPECT_TRUE(text.status().text().ends_with(expected.substr(7))) << text.status().text();
    }
  }
}

}  // namespace
}  // namespace kinglet
