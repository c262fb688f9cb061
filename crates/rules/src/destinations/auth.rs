//! How a connection is let in: what callers give, what is sealed, what is shown. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-target-connection-auth.html>

use crate::error::{invalid, not_served};
use serde::{Deserialize, Serialize};
use shapes::events as e;
use std::fmt;
use wire::ApiError;

/// Everything of a connection that may hold a secret. Sealed as JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Auth {
    pub(crate) scheme: Scheme,
    #[serde(default)]
    pub(crate) http: Http,
}

/// The three ways in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Scheme {
    Basic { username: String, password: String },
    ApiKey { name: String, value: String },
    OAuth(OAuth),
}

/// OAuth's client credentials grant.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OAuth {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) endpoint: String,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) http: Http,
}

/// Parameters that requests carry beside.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Http {
    #[serde(default)]
    pub(crate) headers: Vec<Parameter>,
    #[serde(default)]
    pub(crate) query: Vec<Parameter>,
    #[serde(default)]
    pub(crate) body: Vec<Parameter>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: String,
    /// Whether the value is shown to nobody.
    #[serde(default)]
    pub(crate) secret: bool,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl Auth {
    /// What `CreateConnection` gives.
    pub(crate) fn created(
        kind: e::ConnectionAuthorizationType,
        given: e::CreateConnectionAuthRequestParameters,
    ) -> Result<Auth, ApiError> {
        if given.connectivity_parameters.is_some() {
            return Err(not_served("ConnectivityParameters of connections"));
        }
        let api_key = given.api_key_auth_parameters.map(|p| e::UpdateConnectionApiKeyAuthRequestParameters {
            api_key_name: Some(p.api_key_name),
            api_key_value: Some(p.api_key_value),
        });
        let basic = given.basic_auth_parameters.map(|p| e::UpdateConnectionBasicAuthRequestParameters {
            username: Some(p.username),
            password: Some(p.password),
        });
        let oauth = given.o_auth_parameters.map(|p| e::UpdateConnectionOAuthRequestParameters {
            client_parameters: Some(e::UpdateConnectionOAuthClientRequestParameters {
                client_id: Some(p.client_parameters.client_id),
                client_secret: Some(p.client_parameters.client_secret),
            }),
            authorization_endpoint: Some(p.authorization_endpoint),
            http_method: Some(p.http_method),
            o_auth_http_parameters: p.o_auth_http_parameters,
        });
        let given = e::UpdateConnectionAuthRequestParameters {
            basic_auth_parameters: basic,
            o_auth_parameters: oauth,
            api_key_auth_parameters: api_key,
            invocation_http_parameters: given.invocation_http_parameters,
            connectivity_parameters: None,
        };
        Auth::updated(None, kind, Some(given))
    }

    /// What `UpdateConnection` makes of what there was: what it does not say stays.
    pub(crate) fn updated(
        before: Option<Auth>,
        kind: e::ConnectionAuthorizationType,
        given: Option<e::UpdateConnectionAuthRequestParameters>,
    ) -> Result<Auth, ApiError> {
        let given = given.unwrap_or_default();
        if given.connectivity_parameters.is_some() {
            return Err(not_served("ConnectivityParameters of connections"));
        }
        let http = match given.invocation_http_parameters {
            Some(given) => Http::read(given),
            None => before.as_ref().map(|auth| auth.http.clone()).unwrap_or_default(),
        };
        let before = before.map(|auth| auth.scheme);
        let scheme = match kind {
            e::ConnectionAuthorizationType::Basic => basic(before, given.basic_auth_parameters)?,
            e::ConnectionAuthorizationType::ApiKey => api_key(before, given.api_key_auth_parameters)?,
            e::ConnectionAuthorizationType::OauthClientCredentials => oauth(before, given.o_auth_parameters)?,
        };
        Ok(Auth { scheme, http })
    }

    pub(crate) fn kind(&self) -> e::ConnectionAuthorizationType {
        match &self.scheme {
            Scheme::Basic { .. } => e::ConnectionAuthorizationType::Basic,
            Scheme::ApiKey { .. } => e::ConnectionAuthorizationType::ApiKey,
            Scheme::OAuth(_) => e::ConnectionAuthorizationType::OauthClientCredentials,
        }
    }

    /// What `DescribeConnection` shows: no secret.
    pub(crate) fn shown(&self) -> e::ConnectionAuthResponseParameters {
        let mut shown =
            e::ConnectionAuthResponseParameters { invocation_http_parameters: self.http.shown(), ..Default::default() };
        match &self.scheme {
            Scheme::Basic { username, .. } => {
                shown.basic_auth_parameters =
                    Some(e::ConnectionBasicAuthResponseParameters { username: Some(username.clone()) });
            }
            Scheme::ApiKey { name, .. } => {
                shown.api_key_auth_parameters =
                    Some(e::ConnectionApiKeyAuthResponseParameters { api_key_name: Some(name.clone()) });
            }
            Scheme::OAuth(oauth) => {
                shown.o_auth_parameters = Some(e::ConnectionOAuthResponseParameters {
                    client_parameters: Some(e::ConnectionOAuthClientResponseParameters {
                        client_id: Some(oauth.client_id.clone()),
                    }),
                    authorization_endpoint: Some(oauth.endpoint.clone()),
                    http_method: oauth.method.parse().ok(),
                    o_auth_http_parameters: oauth.http.shown(),
                });
            }
        }
        shown
    }
}

fn missing(name: &str) -> ApiError {
    invalid(format!("Parameter AuthParameters is not valid. Reason: {name} must be specified."))
}

fn basic(
    before: Option<Scheme>,
    given: Option<e::UpdateConnectionBasicAuthRequestParameters>,
) -> Result<Scheme, ApiError> {
    let given = given.unwrap_or_default();
    let (user, password) = match before {
        Some(Scheme::Basic { username, password }) => (Some(username), Some(password)),
        _ => (None, None),
    };
    Ok(Scheme::Basic {
        username: given.username.or(user).ok_or_else(|| missing("BasicAuthParameters"))?,
        password: given.password.or(password).ok_or_else(|| missing("BasicAuthParameters"))?,
    })
}

fn api_key(
    before: Option<Scheme>,
    given: Option<e::UpdateConnectionApiKeyAuthRequestParameters>,
) -> Result<Scheme, ApiError> {
    let given = given.unwrap_or_default();
    let (name, value) = match before {
        Some(Scheme::ApiKey { name, value }) => (Some(name), Some(value)),
        _ => (None, None),
    };
    Ok(Scheme::ApiKey {
        name: given.api_key_name.or(name).ok_or_else(|| missing("ApiKeyAuthParameters"))?,
        value: given.api_key_value.or(value).ok_or_else(|| missing("ApiKeyAuthParameters"))?,
    })
}

fn oauth(before: Option<Scheme>, given: Option<e::UpdateConnectionOAuthRequestParameters>) -> Result<Scheme, ApiError> {
    let given = given.unwrap_or_default();
    let before = match before {
        Some(Scheme::OAuth(before)) => Some(before),
        _ => None,
    };
    let client = given.client_parameters.unwrap_or_default();
    let old = |field: fn(&OAuth) -> &String| before.as_ref().map(|before| field(before).clone());
    let need = || missing("OAuthParameters");
    let oauth = OAuth {
        client_id: client.client_id.or(old(|o| &o.client_id)).ok_or_else(need)?,
        client_secret: client.client_secret.or(old(|o| &o.client_secret)).ok_or_else(need)?,
        endpoint: given.authorization_endpoint.or(old(|o| &o.endpoint)).ok_or_else(need)?,
        method: given.http_method.map(|m| m.as_str().to_owned()).or(old(|o| &o.method)).ok_or_else(need)?,
        http: match given.o_auth_http_parameters {
            Some(given) => Http::read(given),
            None => before.as_ref().map(|before| before.http.clone()).unwrap_or_default(),
        },
    };
    super::request::endpoint(&oauth.endpoint)
        .map_err(|why| invalid(format!("Parameter AuthorizationEndpoint is not valid. Reason: {why}")))?;
    Ok(Scheme::OAuth(oauth))
}

impl Http {
    fn read(given: e::ConnectionHttpParameters) -> Http {
        let one = |key: Option<String>, value: Option<String>, secret: Option<bool>| Parameter {
            key: key.unwrap_or_default(),
            value: value.unwrap_or_default(),
            // As at AWS, what is not said to be a secret is none.
            secret: secret == Some(true),
        };
        let headers = given.header_parameters.into_iter().flatten();
        let query = given.query_string_parameters.into_iter().flatten();
        let body = given.body_parameters.into_iter().flatten();
        Http {
            headers: headers.map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
            query: query.map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
            body: body.map(|p| one(p.key, p.value, p.is_value_secret)).collect(),
        }
    }

    fn shown(&self) -> Option<e::ConnectionHttpParameters> {
        let value = |p: &Parameter| (!p.secret).then(|| p.value.clone());
        let headers = self.headers.iter().map(|p| e::ConnectionHeaderParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.secret),
        });
        let query = self.query.iter().map(|p| e::ConnectionQueryStringParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.secret),
        });
        let body = self.body.iter().map(|p| e::ConnectionBodyParameter {
            key: Some(p.key.clone()),
            value: value(p),
            is_value_secret: Some(p.secret),
        });
        let some = *self != Http::default();
        some.then(|| e::ConnectionHttpParameters {
            header_parameters: Some(headers.collect()),
            query_string_parameters: Some(query.collect()),
            body_parameters: Some(body.collect()),
        })
    }
}
