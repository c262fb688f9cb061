//! Patterns for messages of fields with spaces between them: `[ip, user, ..., status = 4*, bytes > 1000]`.

use super::text::Text;
use super::value::{Operand, Operator};
use super::{Unfit, unfit};
use crate::limits::EXPRESSIONS;

/// What is asked of the fields of a message, in their order.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Of those before the ellipsis; of all where there is none.
    head: Vec<Field>,
    /// Of those behind it.
    tail: Option<Vec<Field>>,
}

/// What is asked of a field: one of several lists of conditions that all hold. Nothing where there is no list.
#[derive(Debug, Default)]
struct Field(Vec<Vec<(Operator, Operand)>>);

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Fields, Unfit> {
        let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            return unfit("a pattern for fields begins with [ and ends with ]");
        };
        let mut rest = Text::new(inner);
        let mut fields = Fields { head: Vec::new(), tail: None };
        loop {
            rest.skip_spaces();
            if rest.takes("...") || rest.takes("…") {
                if fields.tail.replace(Vec::new()).is_some() {
                    return unfit("only one ellipsis is understood");
                }
            } else {
                let field = Field::take(&mut rest)?;
                fields.tail.as_mut().unwrap_or(&mut fields.head).push(field);
            }
            rest.skip_spaces();
            if rest.is_empty() {
                break;
            }
            if !rest.takes(",") {
                return unfit(format!("'{}' is not understood", rest.shown()));
            }
        }
        let all = fields.head.iter().chain(fields.tail.iter().flatten());
        let regexes = all.flat_map(|field| field.0.iter().flatten()).filter(|(_, o)| matches!(o, Operand::Regex(_)));
        if regexes.count() > EXPRESSIONS {
            return unfit(format!("a pattern holds at most {EXPRESSIONS} regular expressions"));
        }
        Ok(fields)
    }

    pub(super) fn match_text(&self, message: &str) -> bool {
        let found = split(message);
        let fit = |fields: &[Field], found: &[&str]| fields.iter().zip(found).all(|(field, text)| field.fits(text));
        match &self.tail {
            None => found.len() == self.head.len() && fit(&self.head, &found),
            Some(tail) => {
                let Some(behind) = found.len().checked_sub(tail.len()).filter(|at| *at >= self.head.len()) else {
                    return false;
                };
                fit(&self.head, &found) && fit(tail, &found[behind..])
            }
        }
    }
}

impl Field {
    /// A name, and conditions that call the field by it. The name may be missing.
    fn take(text: &mut Text<'_>) -> Result<Field, Unfit> {
        let name = take_name(text);
        let Some(operator) = Operator::take(text) else { return Ok(Field::default()) };
        let mut any = vec![vec![(operator, Operand::take(text, operator)?)]];
        loop {
            text.skip_spaces();
            let (and, or) = (text.takes("&&"), text.takes("||"));
            if !and && !or {
                return Ok(Field(any));
            }
            text.skip_spaces();
            let again = take_name(text);
            if again != name {
                return unfit(format!("the conditions of the field {name} cannot be about {again}"));
            }
            let Some(operator) = Operator::take(text) else {
                return unfit(format!("an operator is missing before '{}'", text.shown()));
            };
            let condition = (operator, Operand::take(text, operator)?);
            match any.last_mut().filter(|_| and) {
                Some(all) => all.push(condition),
                None => any.push(vec![condition]),
            }
        }
    }

    fn fits(&self, value: &str) -> bool {
        let holds = |(operator, operand): &(Operator, Operand)| operand.fits_text(*operator, value);
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(holds))
    }
}

fn take_name<'a>(text: &mut Text<'a>) -> &'a str {
    text.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '$')
}

/// The fields of a message: what is between spaces; what is in brackets or quotation marks is one field, without them.
fn split(message: &str) -> Vec<&str> {
    let (mut fields, mut rest) = (Vec::new(), message.trim());
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '[' => Some(']'),
            '"' => Some('"'),
            _ => None,
        };
        let end = close.and_then(|close| rest[1..].find(close));
        let (field, behind) = match end {
            Some(end) => (&rest[1..=end], &rest[end + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        fields.push(field);
        rest = behind.trim_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 3] = [
        r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534"#,
        r#"127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.html HTTP/1.0" 404 5324"#,
        r#"127.0.0.1 - frank [10/Oct/2000:13:50:35 -0700] "GET /apache_pb.gif HTTP/1.0" 403 435"#,
    ];

    fn fits(pattern: &str) -> [bool; 3] {
        let fields = Fields::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        LINES.map(|line| fields.match_text(line))
    }

    #[test]
    fn the_examples_of_the_page_hold() {
        assert_eq!(split(LINES[0])[3..5], ["10/Oct/2000:13:25:15 -0700", "GET /apache_pb.gif HTTP/1.0"]);
        assert_eq!(fits("[ip, user, username, timestamp, request, status_code, bytes > 1000]"), [true, true, false]);
        assert_eq!(fits("[ip, user, username, timestamp, request, status_code = 200, bytes]"), [true, false, false]);
        assert_eq!(
            fits("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]"),
            [false, true, false]
        );
        assert_eq!(fits("[..., status_code=403 || status_code=404, bytes]"), [false, true, true]);
        assert_eq!(fits("[..., status_code = 4* && status_code != 403, bytes]"), [false, true, false]);
        assert_eq!(fits("[..., request=*.html*, status_code=4*,]"), [false, true, false]);
        assert_eq!(fits("[ip=127.*, user, ...]"), [true, true, true]);
        assert_eq!(fits("[ip, user]"), [false, false, false]);
        assert_eq!(fits("[..., request=%[.]html%, s, b]"), [false, true, false]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let why = |pattern: &str| Fields::parse(pattern).unwrap_err().to_string();
        assert_eq!(why("[a, ..., b, ...]"), "only one ellipsis is understood");
        assert_eq!(why("[a = 1 && b = 2]"), "the conditions of the field a cannot be about b");
        assert_eq!(why("[a b]"), "'b' is not understood");
        assert_eq!(why("[a > b]"), "only numbers are less or greater");
        assert_eq!(why("[a"), "a pattern for fields begins with [ and ends with ]");
        assert_eq!(why("[a=%x%, b=%y%, c=%z%]"), "a pattern holds at most 2 regular expressions");
    }
}
