//! The shapes of Exchange's answers: rows with sidecar properties, warnings, and errors that hide their cause.

use serde_json::{Map, Value, json};

use crate::http::Response;
use crate::reply::Fail;
use crate::tenant::stamp::Stamp;

const CONTENT_TYPE: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false";

/// What a cmdlet found or did.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    pub(crate) warnings: Vec<String>,
}

impl Rows {
    pub(crate) fn of(rows: Vec<Row>) -> Self {
        Self { rows, warnings: Vec::new() }
    }

    /// A write that changed nothing says so in a warning only.
    pub(crate) fn unchanged(object: &str) -> Self {
        Self {
            rows: Vec::new(),
            warnings: vec![format!(
                "The command completed successfully but no settings of '{object}' have been modified."
            )],
        }
    }
}

/// One object of an answer, with the sidecars that name a property's type.
#[derive(Debug, Default)]
pub(crate) struct Row(Map<String, Value>);

impl Row {
    pub(crate) fn text(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn bool(self, name: &str, value: bool) -> Self {
        self.text(name, value)
    }

    pub(crate) fn typed(mut self, name: &str, data_type: &str, value: impl Into<Value>) -> Self {
        self.0.insert(format!("{name}@data.type"), data_type.into());
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn guid(mut self, name: &str, value: &str) -> Self {
        self.0.insert(format!("{name}@odata.type"), "#Guid".into());
        self.typed(name, "System.Guid", value)
    }

    pub(crate) fn time(self, name: &str, value: Stamp) -> Self {
        self.typed(name, "System.DateTime", value.exchange())
    }

    pub(crate) fn list(mut self, name: &str, values: Vec<Value>) -> Self {
        self.0.insert(format!("{name}@odata.type"), "#Collection(String)".into());
        self.text(name, values)
    }

    /// A property's value.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn selected(mut self, select: Option<&str>) -> Map<String, Value> {
        if let Some(select) = select {
            let names: Vec<&str> = select.split(',').map(str::trim).collect();
            self.0.retain(|key, _| {
                let name = key.split('@').next().unwrap_or(key);
                names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
            });
        }
        self.0
    }
}

/// 200: `value` is empty for a write, warnings are always there.
pub(crate) fn success(
    origin: &str,
    tenant_id: &str,
    rows: Vec<Row>,
    warnings: &[String],
    select: (Option<&str>, Option<&str>),
) -> Response {
    let (link, select) = select;
    let mut body = Map::new();
    let context = format!("{origin}/adminapi/beta/{tenant_id}/$metadata#Collection(Exchange.GenericHashTable)");
    body.insert("@odata.context".to_owned(), context.into());
    body.insert("adminapi.warnings@odata.type".to_owned(), "#Collection(String)".into());
    body.insert("@adminapi.warnings".to_owned(), json!(warnings));
    if let Some(link) = link {
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    let rows: Vec<Value> = rows.into_iter().map(|row| Value::Object(row.selected(select))).collect();
    body.insert("value".to_owned(), rows.into());
    Response::with_body(200, CONTENT_TYPE, Value::Object(body).to_string().into_bytes())
}

/// 403: the body is a run of zero bytes, and three different causes look the same.
pub(crate) fn forbidden() -> Response {
    let mut response = Response::with_body(403, "application/json", vec![0; 64]);
    response.set(
        "x-ms-diagnostics",
        "2000010;reason=\"The role assigned to application isn't supported in this scenario. Please check online documentation for assigning correct Directory Roles to Azure AD Application for EXO App-Only Authentication.\";error_category=\"unauthorized\"",
    );
    response
}

/// A cmdlet's failure: the true cause is an exception's type and text deep inside a constant envelope.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    ex_code: String,
    exception: String,
    text: String,
}

impl Error {
    pub(crate) fn new(ex_code: &str, exception: &str, text: &str) -> Self {
        Self { ex_code: ex_code.to_owned(), exception: exception.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn argument(text: &str) -> Self {
        Self::new("", "System.ArgumentException", text)
    }

    /// An object that is not there.
    pub(crate) fn not_found(object: &str, place: &str) -> Self {
        Self::new(
            "Ex6F9304",
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
            &format!("The operation couldn't be performed because object '{object}' couldn't be found on '{place}'."),
        )
    }

    /// A mailbox that is not there.
    pub(crate) fn no_mailbox(mailbox: &str) -> Self {
        Self::new(
            "Ex41BAF5",
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
            &format!("The specified mailbox \"{mailbox}\" doesn't exist."),
        )
    }

    pub(crate) fn expired_page() -> Self {
        Self::argument("Expired or Invalid pagination request. Default Expiry time is 00:30:00")
    }

    fn is_not_found(&self) -> bool {
        self.exception.ends_with("ManagementObjectNotFoundException")
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        let (status, code) = if error.is_not_found() { (404, "NotFound") } else { (400, "BadRequest") };
        let triple = format!("{}|{}|{}", error.ex_code, error.exception, error.text);
        let body = json!({"error": {
            "code": code,
            "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": triple}],
            "innererror": {
                "message": "Error executing cmdlet",
                "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "stacktrace": "   at Microsoft.Exchange.Admin.OData.Core.Entities.DirectInvokeCmdlet.Invoke()",
                "internalexception": {
                    "message": error.text,
                    "type": error.exception,
                    "stacktrace": "",
                },
            },
            "adminapi.warnings@odata.type": "#Collection(String)",
            "@adminapi.warnings": [],
        }});
        let mut response = Response::with_body(status, CONTENT_TYPE, body.to_string().into_bytes());
        response.set("x-ms-diagnostics", "");
        Self::finished(response)
    }
}
