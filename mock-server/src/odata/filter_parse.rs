//! The parser behind [`Filter`](super::filter::Filter): words, then recursive descent.

use serde_json::Value;

use super::filter::{Filter, Operator, Path, TextFunction};

/// A token of a filter.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 32;

/// Tokens and a position.
pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    variables: Vec<String>,
}

type Parsed<T> = Result<T, String>;

impl Parser {
    pub(super) fn new(text: &str) -> Parsed<Self> {
        Ok(Self { tokens: tokenize(text)?, at: 0, depth: 0, variables: Vec::new() })
    }

    /// The whole text as one expression.
    pub(super) fn finish(mut self) -> Parsed<Filter> {
        let filter = self.disjunction()?;
        match self.peek() {
            None => Ok(filter),
            Some(token) => Err(format!("unexpected {token:?} at the end")),
        }
    }

    fn disjunction(&mut self) -> Parsed<Filter> {
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Filter> {
        let mut left = self.factor()?;
        while self.take_word("and") {
            left = Filter::And(Box::new(left), Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the expression nests too deeply".to_owned());
        }
        let filter = if self.take_word("not") {
            Filter::Not(Box::new(self.factor()?))
        } else if self.take_sign('(') {
            let inner = self.disjunction()?;
            self.expect_sign(')')?;
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn predicate(&mut self) -> Parsed<Filter> {
        let word = self.word()?;
        if let Some(function) = text_function(&word)
            && self.take_sign('(')
        {
            let path = self.word()?;
            self.expect_sign(',')?;
            let literal = self.literal()?;
            self.expect_sign(')')?;
            let literal = literal.as_str().unwrap_or_default().to_owned();
            return Ok(Filter::Text(function, self.path(&path), literal));
        }
        if let Some(collection) = word.strip_suffix("/any")
            && self.take_sign('(')
        {
            return self.any(collection);
        }
        let path = self.path(&word);
        self.comparison(path)
    }

    fn any(&mut self, collection: &str) -> Parsed<Filter> {
        let path = self.path(collection);
        if self.take_sign(')') {
            return Ok(Filter::Any(path, None));
        }
        let variable = self.word()?;
        self.expect_sign(':')?;
        self.variables.push(variable);
        let inner = self.disjunction()?;
        self.variables.pop();
        self.expect_sign(')')?;
        Ok(Filter::Any(path, Some(Box::new(inner))))
    }

    fn comparison(&mut self, path: Path) -> Parsed<Filter> {
        let word = self.word()?.to_lowercase();
        if word == "in" {
            return self.list(path);
        }
        let operator = match word.as_str() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "ge" => Operator::Ge,
            "gt" => Operator::Gt,
            "le" => Operator::Le,
            "lt" => Operator::Lt,
            other => return Err(format!("unknown operator '{other}'")),
        };
        Ok(Filter::Compare(path, operator, self.literal()?))
    }

    fn list(&mut self, path: Path) -> Parsed<Filter> {
        self.expect_sign('(')?;
        let mut values = vec![self.literal()?];
        while self.take_sign(',') {
            values.push(self.literal()?);
        }
        self.expect_sign(')')?;
        Ok(Filter::In(path, values))
    }

    /// A path without the variable of the `any` around it. The variable alone is the element itself.
    fn path(&self, word: &str) -> Path {
        let mut parts: Path = word.split('/').map(str::to_owned).collect();
        if self.variables.last().is_some_and(|name| parts.first() == Some(name)) {
            parts.remove(0);
        }
        parts
    }

    fn literal(&mut self) -> Parsed<Value> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Word(word)) => Ok(bare_literal(&word)),
            other => Err(format!("a literal is missing, found {other:?}")),
        }
    }

    fn word(&mut self) -> Parsed<String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("a property is missing, found {other:?}")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(&Token::Sign(wanted));
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, wanted: char) -> Parsed<()> {
        if self.take_sign(wanted) { Ok(()) } else { Err(format!("'{wanted}' is missing, found {:?}", self.peek())) }
    }
}

fn text_function(word: &str) -> Option<TextFunction> {
    match word.to_lowercase().as_str() {
        "startswith" => Some(TextFunction::StartsWith),
        "endswith" => Some(TextFunction::EndsWith),
        "contains" => Some(TextFunction::Contains),
        _ => None,
    }
}

fn bare_literal(word: &str) -> Value {
    match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match word.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(word.to_owned()),
        },
    }
}

fn tokenize(text: &str) -> Parsed<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' | ',' | ':' => tokens.push(Token::Sign(c)),
            '\'' => tokens.push(Token::Text(quoted(&mut rest)?)),
            c if in_word(c) => {
                let mut word = String::from(c);
                // Times hold colons; the colon after a lambda's variable is a sign of its own.
                let literal = c.is_ascii_digit();
                while let Some(next) = rest.next_if(|n| in_word(*n) || (literal && *n == ':')) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            other => return Err(format!("unexpected character '{other}'")),
        }
    }
    Ok(tokens)
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '$' | '@')
}

fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Parsed<String> {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Ok(text),
            c => text.push(c),
        }
    }
    Err("a string does not end".to_owned())
}
